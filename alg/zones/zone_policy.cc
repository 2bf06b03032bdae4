// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/zones/zone_policy.h"

#include <algorithm>
#include <array>

#include "alg/base/text.h"

namespace sipalg {
namespace {

// The names are Cisco's (`match protocol`). Nothing that needs more than its own port is here, but SIP.
constexpr std::array<Application, 10> known{{
    {"sip", "meta l4proto { tcp, udp } th dport @sip_ports", ""},
    {"icmp", "icmp type echo-request", "icmpv6 type echo-request"},
    {"tcp", "meta l4proto tcp", ""},
    {"udp", "meta l4proto udp", ""},
    {"dhcp", "udp dport { 67, 547 }", ""},
    {"dns", "meta l4proto { tcp, udp } th dport 53", ""},
    {"http", "tcp dport 80", ""},
    {"https", "tcp dport 443", ""},
    {"ntp", "udp dport 123", ""},
    {"ssh", "tcp dport 22", ""},
}};

bool is_letter(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

} // namespace

std::span<const Application> applications() { return known; }

const Application* find_application(std::string_view name) {
  const auto* const it = std::ranges::find(known, name, &Application::name);
  return it == known.end() ? nullptr : &*it;
}

std::string application_names() {
  std::string out;
  for (const Application& application : known) out += (out.empty() ? "" : ", ") + std::string(application.name);
  return out;
}

bool ZonePair::inspects(std::string_view application) const {
  return std::ranges::find(inspect, application, &Application::name) != inspect.end();
}

std::string ZonePair::inspected_names() const {
  std::string out;
  for (const Application* application : inspect) out += (out.empty() ? "" : ", ") + std::string(application->name);
  return out.empty() ? "nothing" : out;
}

const ZonePair* ZonePolicy::find_pair(std::string_view source, std::string_view destination) const {
  const auto it = std::ranges::find_if(
      pairs, [&](const ZonePair& pair) { return pair.source == source && pair.destination == destination; });
  return it == pairs.end() ? nullptr : &*it;
}

bool is_zone_name(std::string_view name) {
  const auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; };
  return !name.empty() && name.size() <= longest_zone_name && is_letter(name.front()) &&
         std::ranges::all_of(name, allowed);
}

const char* interface_name_error(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > longest_interface_name) return "has more than 15 characters";
  if (name == "." || name == "..") return "is no interface";
  if (name == "*") return "means every interface";
  if (name == "lo") return "is the router's own loopback, which always passes";
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == ':') return "is an address alias, which the kernel does not know as an interface";
    if (c == '/' || c <= ' ' || c > '~') return "has a character that no interface name has";
    if (c == '"' || c == '\\') return "has a character that nft reads as its own";
    if (c == '*' && i + 1 != name.size()) return "has a * before its end";
  }
  return nullptr;
}

bool is_pattern(std::string_view interface) { return interface.ends_with('*'); }

bool is_covered(std::string_view name, std::string_view interface) {
  return is_pattern(interface) ? name.starts_with(interface.substr(0, interface.size() - 1)) : name == interface;
}

bool overlap(std::string_view one, std::string_view other) {
  const auto stem = [](std::string_view text) { return is_pattern(text) ? text.substr(0, text.size() - 1) : text; };
  return is_covered(stem(one), other) || is_covered(stem(other), one);
}

std::vector<std::string> notices(const ZonePolicy& policy) {
  std::vector<std::string> out;
  for (const ZonePair& pair : policy.pairs) {
    const std::string allowed = pair.inspected_names();
    if (pair.destination == self_zone) {
      const bool has_ssh = pair.inspects("ssh") || pair.inspects("tcp");
      out.push_back("zone-pair " + pair.source + " -> self: from " + pair.source + " only " + allowed +
                    " reaches the router itself" + (has_ssh ? "" : "; new ssh connections are dropped"));
    } else if (pair.source == self_zone) {
      out.push_back("zone-pair self -> " + pair.destination + ": the router itself begins " +
                    (pair.inspect.empty() ? "" : "only ") + allowed + " towards " + pair.destination);
    }
  }
  return out;
}

} // namespace sipalg
