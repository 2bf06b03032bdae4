// SPDX-License-Identifier: GPL-2.0-or-later
// What stands in our table, by name: shared by the code that builds it, changes it and prints it.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "conntrack/nft.h"
#include "conntrack/steering.h"

namespace sipalg::ruleset {

// Chains, sets and maps come once per protocol and family: take_udp4, endpoints_tcp6, ...
struct Slot {
  Protocol protocol;
  Family family;
};
inline constexpr std::array<Slot, 4> slots{{{Protocol::udp, Family::v4},
                                            {Protocol::udp, Family::v6},
                                            {Protocol::tcp, Family::v4},
                                            {Protocol::tcp, Family::v6}}};
inline constexpr std::array<Family, 2> families{Family::v4, Family::v6};

enum class Scope : uint8_t { one, peers, any }; // in the order the rules ask
inline constexpr std::array<Scope, 3> scopes{Scope::one, Scope::peers, Scope::any};

// None: a network that is not inside one of the peers.
std::optional<Scope> scope_of(const Network& network, const std::vector<Network>& peers);

std::string digit(Family family);
std::string name(const std::string& stem, Slot slot);
std::string ports_set(Protocol protocol);
// Every port by which a flow may be signalling: those of ports_* and of endpoints_*. A packet of a flow without any of them has
// to look no further.
inline const std::string signalling_ports = "signalling_ports";
std::vector<uint16_t> all_ports(const SteeringOptions& options);
inline std::string endpoints_set(Slot slot) { return name("endpoints", slot); }
inline std::string birth_sources(Slot slot) { return name("birth_sources", slot); }
inline std::string birth_destinations(Slot slot) { return name("birth_destinations", slot); }
inline std::string resized_set(Family family) { return "resized" + digit(family); }
inline std::string recent_births(Slot slot) { return name("recent_births", slot); }
inline std::string inside_set(Family family) { return "inside" + digit(family); }
inline std::string peers_set(Family family) { return "peers" + digit(family); }
std::string door_map(bool in, Scope scope, Slot slot); // in_one_udp4

inline constexpr uint32_t births_size = 65'535;
inline constexpr std::chrono::duration<uint64_t, std::milli> births_lifetime{30'000};
inline constexpr std::chrono::duration<uint64_t, std::milli> births_pause{200};
inline constexpr int hook_priority = 150, manual_priority = 149;
inline constexpr int doors_out_priority = 99, doors_in_priority = -99;

// The queue of a slot's packets; unconfirmed ones without NFQA_CT take the next number. UDP of worker 0, then TCP, then UDP of
// the other workers.
uint16_t queue_of(const SteeringOptions& options, Protocol protocol, uint32_t worker = 0);
uint32_t queue_count(uint32_t workers); // numbers that are taken, from the first on
inline const std::string workers_map = "workers"; // of verdicts, by the hash of an inside host
std::string worker_chain(uint32_t worker); // counted from 1, as in the log and in `show stats`

// By this comment, and by having an owner, a table is known as a living daemon's, whatever its name.
inline const std::string table_comment = "sipalgd";

// A table in one transaction (without the marks that begin and end it).
struct Abilities {
  bool native_queue = true;
  bool timeouts = true;
};
void put_table(NetlinkBatch& batch, const SteeringOptions& options, Abilities abilities);

// The chain that every packet comes through that leaves the router, RTP most of all; nearly none is signalling. Its rules: they
// name the service's ports, and are put anew when those change.
inline const std::string first_look = "sipalg";
void put_first_look(NetlinkBatch& batch, const SteeringOptions& options);

// Keys and data of elements.
nft::Bytes endpoint_key(const Endpoint& endpoint);
nft::Element in_element(const Translation& translation, Scope scope);
nft::Element out_element(const Translation& translation, Scope scope);
// A connection by its original tuple, the same for both directions: set type, rule, key.
uint32_t connection_type(Family family);
uint32_t connection_length(Family family);
nft::Rule& load_connection(nft::Rule& rule, Family family);
nft::Bytes connection_key(const Tuple& tuple);
// Networks of one family as the bounds of disjoint intervals.
std::vector<nft::Element> intervals(const std::vector<Network>& networks, Family family);
nft::Bytes port_key(uint16_t port); // a key of its own has no padding, unlike one field of several
std::vector<nft::Element> port_elements(const std::vector<uint16_t>& ports);

// Networks of one family, sorted, none inside another.
std::vector<Network> disjoint(std::vector<Network> networks, Family family);

} // namespace sipalg::ruleset
