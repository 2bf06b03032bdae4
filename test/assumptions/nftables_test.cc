// SPDX-License-Identifier: GPL-2.0-or-later
// nftables and the queue: what steering builds on.
#include <catch2/catch.hpp>

#include "conntrack/queue.h"
#include "conntrack/steering.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

// A map written by the rule under test for every packet of port 5060; says what it holds for the phone's header.
std::string held_after(const char* statement, int repeats) {
  World world(Firewall::none);
  world.run(Side::router,
            "nft \"table inet t { map m { type ipv4_addr : ipv4_addr; flags dynamic,timeout; size 65535; }; "
            "chain c { type filter hook postrouting priority 150; udp dport 5060 " +
                std::string(statement) + "; }; }\"");
  const auto first = world.udp(Side::inside, "10.0.0.2:5060"), second = world.udp(Side::inside, "10.0.0.3:5060");
  const auto remote = world.udp(Side::outside, "203.0.113.2:5060");
  for (int i = 0; i < repeats; ++i) {
    first.send("hello", ep("203.0.113.2:5060"));
    REQUIRE(world.receive(remote));
  }
  second.send("hello", ep("203.0.113.2:5060"));
  REQUIRE(world.receive(remote));
  const std::string text = world.run(Side::router, "nft list map inet t m");
  return text.find(": 10.0.0.2") != std::string::npos   ? "first"
         : text.find(": 10.0.0.3") != std::string::npos ? "second"
                                                        : "nothing";
}

constexpr const char* key = "{ ip daddr : ct original ip saddr }";
std::string with(const char* operation) { return std::string(operation) + " @m " + key; }

} // namespace

TEST_CASE("update leaves the data of an element that is there; delete and add renew it") {
  CHECK(held_after(with("update").c_str(), 1) == "first");
  CHECK(held_after((with("delete") + " " + with("add")).c_str(), 1) == "second");
}

// Not relied on: the reason why births are written with a pause (ruleset.cc).
TEST_CASE("many deletions of one key, and nothing is written before the garbage collection") {
  CHECK(held_after((with("delete") + " " + with("add")).c_str(), 4) == "second");
  WARN("after 150 deletions the map holds: " << held_after((with("delete") + " " + with("add")).c_str(), 150));
}

TEST_CASE("the kernel drops queued packets when any hook of the namespace goes, not when rules go") {
  const bool whole_table = GENERATE(false, true);
  World world(Firewall::none);
  Queue queue{QueueOptions{}};
  SteeringOptions options;
  options.births = !queue.has_conntrack();
  Steering steering(options);
  world.run(Side::router, "nft \"add table inet other; add chain inet other c { type filter hook input priority 0; }; "
                          "add rule inet other c accept\"");
  const auto phone = world.udp(Side::inside, "10.0.0.2:5060"), remote = world.udp(Side::outside, "203.0.113.2:5060");
  phone.send("hello", ep("203.0.113.2:5060"));
  world.idle(20ms);
  world.run(Side::router, whole_table ? "nft delete table inet other" : "nft flush chain inet other c");
  queue.drain([](const QueuedPacket&, PendingVerdict) {});
  CHECK(world.receive(remote).has_value() == !whole_table);
}
