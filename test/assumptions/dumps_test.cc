// SPDX-License-Identifier: GPL-2.0-or-later
// Filtered dumps of conntracks.
#include <catch2/catch.hpp>

#include "conntrack/ctnetlink.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

std::size_t count(Ctnetlink& conntrack, const FlowFilter& filter) {
  std::size_t found = 0;
  REQUIRE(conntrack.dump_flows(filter, [&](const ConntrackEntry&) { ++found; }));
  return found;
}

} // namespace

TEST_CASE("a dump is filtered by family, protocol, addresses and ports") {
  World world(Firewall::none);
  const auto phone = world.udp(Side::inside, "10.0.0.2:4000"), phone6 = world.udp(Side::inside, "[fd00::2]:4000");
  const auto remote = world.udp(Side::outside, "203.0.113.2:6000"),
             remote6 = world.udp(Side::outside, "[2001:db8::2]:6000");
  phone.send("hello", ep("203.0.113.2:6000"));
  phone6.send("hello", ep("[2001:db8::2]:6000"));
  REQUIRE(world.receive(remote));
  REQUIRE(world.receive(remote6));
  Ctnetlink conntrack;
  const auto a = [](const char* text) { return *parse_address(text); };
  for (const Family family : {Family::v4, Family::v6}) {
    const bool v4 = family == Family::v4;
    const auto inside = a(v4 ? "10.0.0.2" : "fd00::2"), there = a(v4 ? "203.0.113.2" : "2001:db8::2"),
               ours = a(v4 ? "203.0.113.1" : "2001:db8::1");
    CHECK(count(conntrack, {family, Protocol::udp, {}, {}, {}, 0, 0}) == 1);
    CHECK(count(conntrack, {family, Protocol::tcp, {}, {}, {}, 0, 0}) == 0);
    CHECK(count(conntrack, {family, Protocol::udp, inside, there, {}, 6000, 0}) == 1);
    CHECK(count(conntrack, {family, Protocol::udp, {}, {}, ours, 0, 4000}) == 1);
    CHECK(count(conntrack, {family, Protocol::udp, {}, ours, {}, 0, 0}) == 0);
    CHECK(count(conntrack, {family, Protocol::udp, {}, there, {}, 6001, 0}) == 0);
  }
}

TEST_CASE("a flow is found by the tuple of either direction, and in its zone alone") {
  World world(Firewall::none);
  const auto phone = world.udp(Side::inside, "10.0.0.2:4000"), remote = world.udp(Side::outside, "203.0.113.2:6000");
  phone.send("hello", ep("203.0.113.2:6000"));
  REQUIRE(world.receive(remote));
  Ctnetlink conntrack;
  const Tuple original{Protocol::udp, ep("10.0.0.2:4000"), ep("203.0.113.2:6000")};
  const Tuple reply{Protocol::udp, ep("203.0.113.2:6000"), ep("203.0.113.1:4000")};
  for (const Tuple& tuple : {original, reply}) {
    const auto flow = conntrack.find_flow(tuple, 0);
    REQUIRE(flow);
    CHECK((flow->original == original && flow->reply == reply));
  }
  CHECK(conntrack.find_flow(original, 7).error() == errno_code(ENOENT));
  CHECK(conntrack.find_flow(original.inverse(), 0).error() == errno_code(ENOENT));
}

TEST_CASE("UDP answered in its first two seconds stays at the time of the unanswered") {
  World world(Firewall::none);
  const auto phone = world.udp(Side::inside, "10.0.0.2:4000"), remote = world.udp(Side::outside, "203.0.113.2:6000");
  phone.send("hello", ep("203.0.113.2:6000"));
  REQUIRE(world.receive(remote));
  remote.send("hello", ep("203.0.113.1:4000"));
  REQUIRE(world.receive(phone));
  Ctnetlink conntrack;
  const auto flow = conntrack.find_flow({Protocol::udp, ep("10.0.0.2:4000"), ep("203.0.113.2:6000")}, 0);
  REQUIRE(flow);
  CHECK(flow->timeout <= std::chrono::seconds{30});
}
