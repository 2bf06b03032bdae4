// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/zones/firewall_text.h"

#include <algorithm>

#include "alg/base/text.h"

namespace sipalg {
namespace {

template <typename T, typename Text> std::string joined(const T& items, Text text) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + text(item);
  return out;
}

std::string set_name(const std::string& zone) { return "zone." + zone; }
std::string chain_name(const ZonePair& pair) { return "pair." + pair.source + "." + pair.destination; }
std::string back_name(const ZonePair& pair) { return "back." + pair.destination + "." + pair.source; }

bool is_of_self(const ZonePair& pair) { return pair.source == self_zone || pair.destination == self_zone; }

// Without these the router loses its neighbours, its address or the path MTU, however strict the policy for it is.
constexpr std::string_view essentials =
    R"(  # What a router must hear and say itself, whatever is inspected (RFC 4890, 4.4.1; but pings are inspected).
  chain essentials {
    # IPv6 neighbours and routers on the link; with a hop limit of 255 no router has passed it on (RFC 4861, 11.2)
    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept
    # who listens to which multicast group
    icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept
    meta l4proto igmp accept
    # the router's own address: its DHCP client; and what its DHCP server answers
    udp sport 67 udp dport 68 accept
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
  }
)";
constexpr std::string_view asks_dhcp = R"(    # the router's own DHCP client
    udp sport 68 udp dport 67 accept
    ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept
)";
constexpr std::string_view errors =
    R"(  # ICMP errors about a flow that was let through, path MTU among them (RFC 4890, 4.3.1).
  chain errors {
    ct state related icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    ct state related icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept
  }
)";
constexpr std::string_view doors =
    R"(  # The doors of calls: media, and SIP beside its ports. sipalgd opens and closes them, as expectations of
  # helper "sip".
  chain doors {
    ct state related ct helper "sip" meta l4proto { tcp, udp } counter accept
  }
)";

class Writer {
 public:
  Writer(const ZonePolicy& policy, std::span<const uint16_t> sip_ports, std::string_view file)
      : policy_(policy), sip_ports_(sip_ports), file_(file) {}

  std::string text() {
    head();
    line(0, "");
    text_ += firewall_removal_text();
    line(0, "table inet " + std::string(zones_table) + " {");
    sets();
    helpers();
    for (const ZonePair& pair : policy_.pairs) {
      pair_chain(pair);
      if (needs_back(pair)) back_chain(pair);
    }
    forward();
    if (has(&ZonePair::destination)) router("input", "to", &ZonePair::destination, &ZonePair::source);
    if (has(&ZonePair::source)) router("output", "from", &ZonePair::source, &ZonePair::destination);
    line(0, "}");
    return std::move(text_);
  }

 private:
  using End = std::string ZonePair::*;

  void line(std::size_t depth, const std::string& text) { text_ += std::string(depth * 2, ' ') + text + "\n"; }
  bool has(End end) const {
    return std::ranges::any_of(policy_.pairs, [end](const ZonePair& pair) { return pair.*end == self_zone; });
  }
  bool inspects_sip(const ZonePair& pair) const {
    const ZonePair* back = policy_.find_pair(pair.destination, pair.source);
    return pair.inspects("sip") || (back != nullptr && back->inspects("sip"));
  }
  bool needs_back(const ZonePair& pair) const {
    return !is_of_self(pair) && policy_.find_pair(pair.destination, pair.source) == nullptr;
  }

  void head();
  void set(const std::string& name, const std::vector<ZoneInterface>& interfaces);
  void sets();
  void helpers();
  void services(const ZonePair& pair);
  void pair_chain(const ZonePair& pair);
  void back_chain(const ZonePair& pair);
  void forward();
  void router(const std::string& hook, const std::string& preposition, End self_end, End zone_end);

  const ZonePolicy& policy_;
  std::span<const uint16_t> sip_ports_;
  std::string_view file_;
  std::string text_;
};

void Writer::head() {
  line(0, "# The zone firewall of " + escaped(file_) + ", written by `sipalgctl firewall`.");
  line(0, "# Change that file, not this text; `sipalgctl firewall --apply` loads it.");
  line(0, "#");
  for (const Zone& zone : policy_.zones)
    line(0, "# zone " + zone.name + ": " + joined(zone.interfaces, [](const ZoneInterface& i) { return i.name; }));
  for (const ZonePair& pair : policy_.pairs)
    line(0, "# " + pair.source + " -> " + pair.destination + ": inspect " + pair.inspected_names());
  line(0, "#");
  line(0, "# Within a zone everything passes; between zones what a pair inspects, the answers to it, the doors of its "
          "calls and");
  line(0, "# ICMP errors about it. Between a zone and an interface in none: nothing. Other tables judge too: what they "
          "drop stays");
  line(0, "# dropped, and what is dropped here they can not let through.");
}

void Writer::set(const std::string& name, const std::vector<ZoneInterface>& interfaces) {
  const bool has_pattern = std::ranges::any_of(interfaces, is_pattern, &ZoneInterface::name);
  line(1, "set " + name + " {");
  line(2, std::string("type ifname") + (has_pattern ? "; flags interval" : ""));
  line(2, "elements = { " + joined(interfaces, [](const ZoneInterface& i) { return '"' + i.name + '"'; }) + " }");
  line(1, "}");
}

void Writer::sets() {
  std::vector<ZoneInterface> all;
  for (const Zone& zone : policy_.zones) {
    set(set_name(zone.name), zone.interfaces);
    all.insert(all.end(), zone.interfaces.begin(), zone.interfaces.end());
  }
  line(1, "# every interface that is in a zone");
  set("zoned", all);
  line(1, "# where SIP begins: `ports` of [service], and what `sipalgctl service add` brought");
  line(1, "set " + std::string(zones_ports) + " {");
  line(2, "type inet_service");
  line(2, "elements = { " + joined(sip_ports_, [](uint16_t port) { return std::to_string(port); }) + " }");
  line(1, "}");
}

void Writer::helpers() {
  line(0, "");
  text_ += doors;
  line(0, "");
  text_ += errors;
  if (!has(&ZonePair::source) && !has(&ZonePair::destination)) return;
  line(0, "");
  text_ += essentials;
}

void Writer::services(const ZonePair& pair) {
  for (const Application* application : pair.inspect)
    for (const std::string_view match : {application->match, application->second_match})
      if (!match.empty())
        line(2, std::string(match) + " counter accept comment " + '"' + std::string(application->name) + '"');
}

void Writer::pair_chain(const ZonePair& pair) {
  line(0, "");
  line(1, "# " + pair.source + " -> " + pair.destination + ": inspect " + pair.inspected_names());
  line(1, "chain " + chain_name(pair) + " {");
  line(2, "ct state invalid drop");
  services(pair);
  if (!is_of_self(pair) && inspects_sip(pair)) line(2, "jump doors");
  line(2, "jump errors");
  if (is_of_self(pair)) line(2, "counter drop comment \"not inspected\"");
  line(1, "}");
}

void Writer::back_chain(const ZonePair& pair) {
  line(1, "# what " + pair.source + " -> " + pair.destination + " makes come back beside the answers");
  line(1, "chain " + back_name(pair) + " {");
  if (inspects_sip(pair)) line(2, "jump doors");
  line(2, "jump errors");
  line(1, "}");
}

void Writer::forward() {
  line(0, "");
  line(1, "chain forward {");
  line(2, "type filter hook forward priority filter; policy drop");
  line(2, "ct state established accept");
  line(2, "# within one zone");
  for (const Zone& zone : policy_.zones)
    line(2, "iifname @" + set_name(zone.name) + " oifname @" + set_name(zone.name) + " accept");
  line(2, "# between interfaces that are in no zone");
  line(2, "iifname != @zoned oifname != @zoned accept");
  const auto jump = [this](const std::string& from, const std::string& to, const std::string& chain) {
    line(2, "iifname @" + set_name(from) + " oifname @" + set_name(to) + " jump " + chain);
  };
  for (const ZonePair& pair : policy_.pairs) {
    if (is_of_self(pair)) continue;
    jump(pair.source, pair.destination, chain_name(pair));
    if (needs_back(pair)) jump(pair.destination, pair.source, back_name(pair));
  }
  line(2, "counter drop comment \"no pair lets it pass\"");
  line(1, "}");
}

// Zones that no pair joins to self in this direction stay open: the policy is accept.
void Writer::router(const std::string& hook, const std::string& preposition, End self_end, End zone_end) {
  line(0, "");
  line(1, "# " + preposition + " the router itself; zones without such a pair stay open");
  line(1, "chain " + hook + " {");
  line(2, "type filter hook " + hook + " priority filter; policy accept");
  line(2, "ct state established accept");
  const std::string direction = hook == "input" ? "iifname " : "oifname ";
  line(2, direction + "\"lo\" accept");
  line(2, "jump essentials");
  if (hook == "output") text_ += asks_dhcp;
  for (const ZonePair& pair : policy_.pairs)
    if (pair.*self_end == self_zone) line(2, direction + "@" + set_name(pair.*zone_end) + " jump " + chain_name(pair));
  line(1, "}");
}

} // namespace

std::string firewall_text(const ZonePolicy& policy, std::span<const uint16_t> sip_ports, std::string_view file) {
  return Writer(policy, sip_ports, file).text();
}

std::string firewall_removal_text() {
  const std::string table = "table inet " + std::string(zones_table) + "\n";
  return "# Makes the table where there is none, so that it can be deleted; the whole text is one transaction.\n" +
         table + "delete " + table;
}

} // namespace sipalg
