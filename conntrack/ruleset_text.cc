// SPDX-License-Identifier: GPL-2.0-or-later
// Our table in nft's language, for people: what ruleset.cc builds. nft 1.0.6 knows no `ct original proto-dst @set`, so
// ports stand in braces, and no concatenation of them: the endpoint sets are described in comments there.
#include <cstdio>

#include "alg/base/shard.h"
#include "conntrack/ruleset.h"

namespace sipalg {
namespace {

using ruleset::Scope;
using ruleset::Slot;

struct Words {
  std::string ip, address_type;
};
Words words_of(Family family) { return family == Family::v6 ? Words{"ip6", "ipv6_addr"} : Words{"ip", "ipv4_addr"}; }
constexpr std::array<const char*, 3> sides{"original proto-dst", "original proto-src", "reply proto-src"};
std::string protocol_of(Slot slot) { return std::string(name_of(slot.protocol)); }

std::string list(const std::vector<uint16_t>& ports) {
  std::string text;
  for (const uint16_t port : ports) text += (text.empty() ? "" : ", ") + std::to_string(port);
  return "{ " + text + " }";
}

std::string list(const std::vector<Network>& networks) {
  std::string text;
  for (const Network& network : networks) text += (text.empty() ? "" : ", ") + to_string(network);
  return "{ " + text + " }";
}

// Writes the table line by line.
class Writer {
 public:
  explicit Writer(const SteeringOptions& options) : options_(options) {}
  std::string table(); // not for manual steering
  std::string manual_rules();

 private:
  void line(const std::string& text) { text_ += text.empty() ? "\n" : std::string(depth_ * 2, ' ') + text + "\n"; }
  void open(const std::string& text) { line(text + " {"), ++depth_; }
  void close() { --depth_, line("}"); }
  const std::vector<uint16_t>& ports(Slot slot) const {
    return slot.protocol == Protocol::udp ? options_.udp_ports : options_.tcp_ports;
  }
  // Where a port may stand; nowhere without ports (`service off`): nft takes no empty braces.
  std::vector<const char*> port_sides(Slot slot) const {
    if (ports(slot).empty()) return {};
    return {sides.begin(), sides.end()};
  }
  bool steers(Slot slot) const { return slot.protocol == Protocol::udp || options_.tcp; }

  void sets();
  void timeouts();
  void door_maps(Slot slot);
  void births_maps(Slot slot);
  void dispatch(const std::string& stem, bool steered_only);
  void match(Slot slot);
  void first_look();
  void take(Slot slot);
  void workers();
  void spread(Slot slot);
  std::string queue_rule(Protocol protocol, uint32_t worker, bool is_first) const;
  void queue(Protocol protocol, const std::string& match, uint32_t worker = 0);
  void doors();
  void door_rules(bool in, Slot slot);

  const SteeringOptions& options_;
  std::string text_;
  std::size_t depth_ = 0;
};

void Writer::sets() {
  line("# who is inside: what these send each other directly keeps its source");
  for (const Family family : ruleset::families)
    for (const bool inside : {true, false}) {
      open("set " + (inside ? ruleset::inside_set(family) : ruleset::peers_set(family)));
      line("type " + words_of(family).address_type + "; flags interval;");
      const auto networks = ruleset::disjoint(inside ? options_.inside : options_.peers, family);
      if (!networks.empty()) line("elements = " + list(networks));
      close();
    }
  line("# endpoints where SIP is expected beside the configured ports: Contacts, sent-bys, ways out");
  for (const Slot slot : ruleset::slots)
    line("set " + ruleset::endpoints_set(slot) + " { type " + words_of(slot.family).address_type +
         " . inet_service; }");
}

void Writer::timeouts() {
  const std::string replied = std::to_string(options_.udp_timeout.count());
  line("# a registered phone's flow must outlive its registration (signalling_inside, signalling_outside)");
  for (const Family family : ruleset::families)
    for (const bool inside : {true, false}) {
      open("ct timeout signalling_" + std::string(inside ? "inside" : "outside") + ruleset::digit(family));
      line("protocol udp;");
      line("l3proto " + words_of(family).ip + ";");
      line("policy = { unreplied : " + (inside ? replied : std::to_string(options_.udp_timeout_unanswered.count())) +
           ", replied : " + replied + " };");
      close();
    }
}

void Writer::door_maps(Slot slot) {
  const std::string type = words_of(slot.family).address_type;
  for (const bool in : {true, false})
    for (const Scope scope : ruleset::scopes)
      line("map " + ruleset::door_map(in, scope, slot) + " { type " + type + " . inet_service" +
           (scope == Scope::one ? " . " + type : "") + " : " + type + " . inet_service; }");
}

void Writer::births_maps(Slot slot) {
  const std::string type = words_of(slot.family).address_type, endpoint = type + " . inet_service";
  for (const std::string& name : {ruleset::birth_sources(slot), ruleset::birth_destinations(slot)})
    line("map " + name + " { type " + endpoint + " . " + endpoint + " : " + endpoint +
         " . mark; flags dynamic,timeout; size " + std::to_string(ruleset::births_size) + "; }");
}

void Writer::dispatch(const std::string& stem, bool steered_only) {
  for (const Slot slot : ruleset::slots)
    if (!steered_only || steers(slot))
      line("meta nfproto ipv" + ruleset::digit(slot.family) + " meta l4proto " + protocol_of(slot) + " goto " +
           ruleset::name(stem, slot));
}

void Writer::match(Slot slot) {
  open("chain " + ruleset::name("match", slot));
  for (const char* side : port_sides(slot))
    line("meta l4proto " + protocol_of(slot) + " ct " + side + " " + list(ports(slot)) + " goto " +
         ruleset::name("take", slot));
  const std::string ip = words_of(slot.family).ip;
  for (const auto& [address, port] : {std::pair{"original " + ip + " daddr", "original proto-dst"},
                                      std::pair{"original " + ip + " saddr", "original proto-src"},
                                      std::pair{"reply " + ip + " saddr", "reply proto-src"}})
    line("# ct " + address + " . ct " + port + " @" + ruleset::endpoints_set(slot) + " goto " +
         ruleset::name("take", slot));
  close();
}

// nft 1.0.6 can not name a set here: the ports of endpoints that messages bring are in a comment, as the endpoints are.
void Writer::first_look() {
  line("# what begins as RTP does (RFC 7983: the bits 10; no SIP message) and goes to no port of the service is media");
  line("meta l4proto udp @th,64,2 0x2 " + (options_.udp_ports.empty() ? "" : "udp dport != " + list(options_.udp_ports) + " ") + "return");
  line("# a flow without any port of @" + ruleset::signalling_ports + " (these and those of the endpoint sets) is none of ours");
  const auto ports = ruleset::all_ports(options_);
  if (!ports.empty())
    for (const char* side : sides) line("meta l4proto { tcp, udp } ct " + std::string(side) + " " + list(ports) + " goto signalling");
}

// In an administrator's ruleset nothing guards connections with edits: their segments must not pass without us.
std::string Writer::queue_rule(Protocol protocol, uint32_t worker, bool is_first) const {
  const uint16_t number = ruleset::queue_of(options_, protocol, worker);
  const std::string to = options_.manual && protocol == Protocol::tcp ? "queue to " : "queue flags bypass to ";
  return to + std::to_string(is_first && options_.births ? number + 1 : number);
}

// A flow's first packet goes another way: its conntrack is not in the kernel's table yet.
void Writer::queue(Protocol protocol, const std::string& match, uint32_t worker) {
  if (options_.births) line(match + "ct status & confirmed != 0 " + queue_rule(protocol, worker, false));
  line(match + queue_rule(protocol, worker, true));
}

void Writer::take(Slot slot) {
  const std::string family = ruleset::digit(slot.family), ip = words_of(slot.family).ip;
  const bool is_spread = slot.protocol == Protocol::udp && options_.workers > 1;
  if (is_spread) spread(slot);
  const std::string next = is_spread ? "goto " + ruleset::name("spread", slot) : "";
  open("chain " + ruleset::name("take", slot));
  line("ct status & confirmed != 0 " + (is_spread ? next : queue_rule(slot.protocol, 0, false)));
  if (slot.protocol == Protocol::udp) {
    const std::string source = "ct original " + ip + " saddr ";
    line(source + "@inside" + family + " ct timeout set \"signalling_inside" + family + "\"");
    line(source + "!= @inside" + family + " ct timeout set \"signalling_outside" + family + "\"");
  }
  if (options_.births) {
    const std::string proto = protocol_of(slot);
    const std::string key = ip + " saddr . " + proto + " sport . " + ip + " daddr . " + proto + " dport";
    line("# at most five times a second, the old element deleted first:");
    line("#   " + ruleset::birth_sources(slot) + " { " + key + " timeout 30s : ct original " + ip +
         " saddr . ct original proto-src . ct zone }");
    line("#   " + ruleset::birth_destinations(slot) + " { " + key + " timeout 30s : ct original " + ip +
         " daddr . ct original proto-dst . ct status }");
  }
  line(is_spread ? next : queue_rule(slot.protocol, 0, true));
  close();
}

void Writer::workers() {
  line("# a chain for each worker; the way there is by the hash of an inside host");
  for (uint32_t worker = 0; worker < options_.workers; ++worker) {
    open("chain " + ruleset::worker_chain(worker));
    queue(Protocol::udp, "", worker);
    close();
  }
}

// nft 1.0.6 gives a named map no key of a hash's type: the ways stand in braces.
void Writer::spread(Slot slot) {
  std::string ways;
  for (uint32_t worker = 0; worker < options_.workers; ++worker)
    ways += (worker == 0 ? "" : ", ") + std::to_string(worker) + " : goto " + ruleset::worker_chain(worker);
  const std::string ip = words_of(slot.family).ip;
  open("chain " + ruleset::name("spread", slot));
  const auto go = [&](const std::string& match, const std::string& direction) {
    std::array<char, 16> seed{};
    std::snprintf(seed.data(), seed.size(), "%#x", shard_seed);
    line(match + "jhash ct " + direction + " " + ip + " saddr mod " + std::to_string(options_.workers) + " seed " + seed.data() +
         " vmap { " + ways + " }");
  };
  go("ct status & snat != 0 ", "original");
  go("ct original " + ip + " saddr @inside" + ruleset::digit(slot.family) + " ", "original");
  go("", "reply");
  close();
}

void Writer::door_rules(bool in, Slot slot) {
  const std::string ip = words_of(slot.family).ip, family = ruleset::digit(slot.family);
  const std::string ours = ip + (in ? " daddr" : " saddr"), remote = ip + (in ? " saddr" : " daddr");
  const std::string key = ours + " . " + protocol_of(slot) + (in ? " dport" : " sport");
  open("chain " + ruleset::name(in ? "in" : "out", slot));
  if (!in) line(remote + " @inside" + family + " ct status & dnat == 0 return");
  for (const Scope scope : ruleset::scopes)
    line((scope == Scope::peers ? remote + " @peers" + family + " " : "") + (in ? "dnat " : "snat ") + ip + " to " +
         key + (scope == Scope::one ? " . " + remote : "") + " map @" + ruleset::door_map(in, scope, slot));
  close();
}

void Writer::doors() {
  for (const Slot slot : ruleset::slots) door_rules(true, slot), door_rules(false, slot);
  open("chain doors_in");
  line("type nat hook prerouting priority " + std::to_string(ruleset::doors_in_priority) + "; policy accept;");
  dispatch("in", false);
  close();
  open("chain doors_out");
  line("type nat hook postrouting priority " + std::to_string(ruleset::doors_out_priority) + "; policy accept;");
  dispatch("out", false);
  close();
}

std::string Writer::table() {
  line("# The table sipalg makes and owns while it runs (flag owner); it ends with the daemon.");
  open("table inet " + options_.table);
  sets();
  timeouts();
  line("# doors: translations both ways for one remote address, for the signalling peers, for everybody");
  for (const Slot slot : ruleset::slots) door_maps(slot);
  if (options_.births) line("# the kernel has no NFQA_CT: original tuples of unconfirmed packets");
  if (options_.births)
    for (const Slot slot : ruleset::slots)
      if (steers(slot)) births_maps(slot);
  if (options_.workers > 1) workers();
  line("# steering: signalling is what has one of these ports or endpoints in its conntrack tuple");
  for (const Slot slot : ruleset::slots)
    if (steers(slot)) take(slot), match(slot);
  open("chain signalling");
  line("iif 0 return  # the router's own packets");
  dispatch("match", true);
  close();
  open("chain " + ruleset::first_look);
  line("type filter hook postrouting priority " + std::to_string(ruleset::hook_priority) + "; policy accept;");
  first_look();
  close();
  doors();
  close();
  return text_;
}

// steering = "manual": what sipalg then leaves to the administrator.
std::string Writer::manual_rules() {
  line("# steering = \"manual\": sipalg installs no queue rules; these, or others like them, are yours to install.");
  line("# Endpoints that messages name beside these ports (a Contact with port 5080) are not steered then.");
  open("table inet " + options_.table + "_steering");
  open("chain postrouting");
  line("type filter hook postrouting priority " + std::to_string(ruleset::hook_priority) + "; policy accept;");
  line("iif 0 return  # the router's own packets");
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    const Slot slot{protocol, Family::v4};
    if (!steers(slot)) continue;
    for (const char* side : port_sides(slot))
      queue(protocol, "meta l4proto " + protocol_of(slot) + " ct " + side + " " + list(ports(slot)) + " ");
  }
  close();
  close();
  return text_;
}

} // namespace

std::string ruleset_text(const SteeringOptions& options) {
  return options.manual ? Writer(options).manual_rules() : Writer(options).table();
}

} // namespace sipalg
