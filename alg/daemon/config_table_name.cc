// SPDX-License-Identifier: GPL-2.0-or-later
// Names of nftables tables, and the words of nft's language that can not be one.
#include "alg/daemon/config_table_name.h"

#include <algorithm>
#include <array>

#include "alg/base/text.h"
#include "alg/zones/zone_policy.h"

namespace sipalg {
namespace {

constexpr std::size_t longest = 31;

// Of nft 1.0.6 those with which `nft add table inet WORD` or `nft list table inet WORD` is a syntax error; the last line
// is of later versions. Words in which a dash stands are no names anyway.
constexpr std::array<std::string_view, 172> words{
    "accept", "add", "ah", "all", "and", "arp", "bridge", "cgroup", "chain", "chains", "comment", "comp", "constant",
    "continue", "counter", "counters", "cpu", "create", "ct", "day", "dccp", "define", "delete", "describe", "device",
    "devices", "dnat", "drop", "dst", "dup", "dynamic", "ecn", "element", "elements", "eq", "esp", "ether", "exists",
    "expires", "export", "exthdr", "fib", "flags", "flow", "flowtable", "flowtables", "flush", "frag", "fwd", "ge",
    "get", "goto", "gt", "handle", "hbh", "hook", "hooks", "hour", "ibriport", "ibrname", "icmp", "icmpv6", "igmp",
    "iif", "iifgroup", "iifname", "iiftype", "import", "include", "index", "inet", "insert", "interval", "ip", "ip6",
    "ipsec", "jhash", "jump", "le", "limit", "limits", "list", "log", "lshift", "lt", "map", "maps", "mark",
    "masquerade", "meta", "meter", "meters", "mh", "missing", "monitor", "ne", "netdev", "nftrace", "not", "notrack",
    "numgen", "obriport", "obrname", "offload", "oif", "oifgroup", "oifname", "oiftype", "or", "osf", "pkttype",
    "policy", "position", "priority", "queue", "quota", "quotas", "random", "redefine", "redirect", "reject",
    "rename", "replace", "reset", "return", "rshift", "rt", "rt0", "rt2", "rtclassid", "rule", "ruleset", "sctp",
    "secmark", "secmarks", "set", "sets", "size", "skgid", "skuid", "snat", "socket", "srh", "symhash", "synproxy",
    "synproxys", "table", "tables", "tcp", "th", "time", "timeout", "tproxy", "type", "typeof", "udp", "udplite",
    "undefine", "update", "vlan", "vmap", "xor", "xt",
    "destroy", "geneve", "gre", "gretap", "last", "tunnel", "tunnels", "vni", "vxlan",
};

constexpr bool is_letter(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

}  // namespace

bool is_table_name(std::string_view text) {
  const auto is_allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
  return !text.empty() && text.size() <= longest && is_letter(text.front()) && std::ranges::all_of(text, is_allowed) &&
         text != zones_table && std::ranges::find(words, text) == words.end();
}

}  // namespace sipalg
