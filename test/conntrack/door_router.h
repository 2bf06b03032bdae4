// SPDX-License-Identifier: GPL-2.0-or-later
// A router with a door keeper and nobody who reads a queue.
#pragma once
#include <catch2/catch.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "conntrack/nf_door_keeper.h"
#include "test/conntrack/world.h"

namespace sipalg::test {


inline KernelDoor inbound(const char* inside, const char* outside, Network scope = {}) {
  KernelDoor door;
  door.inside = ep(inside);
  door.outside = ep(outside);
  door.scope = scope;
  return door;
}

inline KernelDoor way_out(const char* inside, const char* remote) {
  KernelDoor door;
  door.kind = KernelDoor::Kind::way_out;
  door.inside = {*parse_address(inside), 0};
  door.outside = ep(remote);
  return door;
}

inline SteeringOptions door_options() {
  SteeringOptions o;
  o.manual = true; // no queue: these tests have no reader
  o.inside = {*parse_network("10.0.0.0/24"), *parse_network("fd00::/64")};
  o.peers = {*parse_network("203.0.113.2/31")};
  return o;
}

struct Router {
  World world;
  Steering steering{door_options()};
  NfDoorKeeper keeper{steering};
  explicit Router(Firewall firewall = Firewall::outward, bool translate = true) : world(firewall, translate) {}

  std::vector<DoorHandle> open(const std::vector<KernelDoor>& doors) {
    std::vector<DoorHandle> handles(doors.size());
    const auto result = keeper.open(doors, handles);
    INFO((result ? "" : result.error().message()));
    REQUIRE(result);
    return handles;
  }
  std::error_code refused(const std::vector<KernelDoor>& doors) {
    std::vector<DoorHandle> handles(doors.size());
    const auto result = keeper.open(doors, handles);
    return result ? std::error_code{} : result.error();
  }
  std::string hears(const UdpSocket& listener, const UdpSocket& speaker, const char* to) {
    speaker.send("hello", ep(to));
    return describe(world.receive(listener));
  }
  std::size_t expectations() {
    Ctnetlink conntrack;
    std::size_t count = 0;
    REQUIRE(conntrack.dump_expectations([&](const Expectation&) { ++count; }));
    return count;
  }
  std::size_t anchors() {
    Ctnetlink conntrack;
    std::size_t count = 0;
    for (const Family family : {Family::v4, Family::v6})
      REQUIRE(conntrack.dump_flows({family, Protocol::udp, {}, anchor_destination(family).address, {}, 0, 0},
                                   [&](const ConntrackEntry&) { ++count; }));
    return count;
  }
  std::string elements() { return world.run(Side::router, "nft list table inet sipalg | grep -c \"elements.* : \""); }
};

} // namespace sipalg::test
