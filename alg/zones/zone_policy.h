// SPDX-License-Identifier: GPL-2.0-or-later
// The inspection policy between zones: interfaces are gathered in zones, a zone-pair says what may begin from one to
// the other. Rules as in Cisco's zone-based policy firewall:
//     within one zone                passes
//     between two zones              what a pair source -> destination inspects, its answers, its doors, ICMP errors
//                                    about it; the rest is dropped
//     zone and interface in none     dropped
//     two interfaces in none         passes
//     `self`, the router itself      open towards every zone and from it, until a pair names that zone and self in that
//                                    order
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sipalg {

inline constexpr std::string_view self_zone = "self";
inline constexpr std::string_view zones_table = "sipalg_zones"; // not the daemon's: the firewall outlives it
inline constexpr std::string_view zones_ports = "sip_ports";    // its set of the ports where SIP begins

// What a pair can inspect.
struct Application {
  std::string_view name;
  std::string_view match, second_match; // of a first packet, in nft's language; the second may be empty
};
std::span<const Application> applications();
const Application* find_application(std::string_view name); // nullptr: unknown
std::string application_names();                            // "sip, icmp, ..."

struct ZoneInterface {
  std::string name;  // "ppp*": all that begin so
  uint32_t line = 0; // where it is configured
};
struct Zone {
  std::string name;
  std::vector<ZoneInterface> interfaces;
};
struct ZonePair {
  std::string source, destination;
  std::vector<const Application*> inspect;
  bool inspects(std::string_view application) const;
  std::string inspected_names() const;  // "sip, icmp"; "nothing"
};
struct ZonePolicy {
  std::vector<Zone> zones;
  std::vector<ZonePair> pairs;
  bool empty() const { return zones.empty() && pairs.empty(); }
  const ZonePair* find_pair(std::string_view source, std::string_view destination) const;
};

// A letter, then letters, digits, '-' and '_': what nft takes as a part of a name (never alone: `fwd` is a keyword).
inline constexpr std::size_t longest_zone_name = 32;
bool is_zone_name(std::string_view name);

// As the kernel's dev_valid_name (net/core/dev.c), a '*' at the end allowed; quotes and backslashes, which nft would
// read as its own, are not. Null: it is good; else why it is not.
inline constexpr std::size_t longest_interface_name = 15;
const char* interface_name_error(std::string_view name);
bool is_pattern(std::string_view interface);                        // "ppp*"
bool is_covered(std::string_view name, std::string_view interface); // by the same name, or by a pattern
bool overlap(std::string_view one, std::string_view other);         // some interface may be meant by both

// What an administrator should know before this policy is loaded: what he could lose the router by.
std::vector<std::string> notices(const ZonePolicy& policy);

} // namespace sipalg
