// SPDX-License-Identifier: GPL-2.0-or-later
// Outside endpoints that are not, or no longer, their owner's: another uplink, another host.
#include <catch2/catch.hpp>

#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

TEST_CASE("an outside address is lost for one host, and is not after all: the other's doors stand all the time") {
  World world;
  set_up_call(world);
  const std::string other = with(with(with(invite, "10.0.0.2", "10.0.0.3"), "z9hG4bK1", "z9hG4bKx"), "call-1", "call-2");
  world.out("10.0.0.3:5060", provider, sip_text(other));
  const auto others = world.door_of("10.0.0.3:4000");
  REQUIRE(others);
  const std::size_t doors = world.doors();
  const Address address = *parse_address("203.0.113.1"), host = *parse_address("10.0.0.2");
  world.engine.outside_address_lost(address, host);
  CHECK_FALSE(world.door_of(phone));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of("10.0.0.2:4001"));
  CHECK(world.door_of("10.0.0.3:4000") == others);
  world.engine.outside_address_returned(address, *parse_address("10.0.0.3"));
  CHECK_FALSE(world.door_of(phone));
  world.engine.outside_address_returned(address, host);
  CHECK(world.door_of(phone) == ep(w));
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
  CHECK(world.doors() == doors);
  world.pass_time(3h);
  CHECK(world.doors() == 0);
  CHECK(world.kernel.closed_twice == 0);
}

TEST_CASE("a flow with the outside endpoint of another's door is told, and leaves by its own door when it begins anew") {
  World world;
  set_up_call(world);
  CHECK_FALSE(world.verdict.is_misplaced);
  world.forget_flows();
  const std::string other = sip_text(with(with(with(invite, "10.0.0.2", "10.0.0.3"), "z9hG4bK1", "z9hG4bKx"), "call-1", "call-2"));
  const std::string sent = world.out("10.0.0.3:5060", provider, other);
  CHECK(world.flow.sender.outside == ep(w));
  CHECK(world.verdict.is_misplaced);
  const auto door = world.door_of("10.0.0.3:5060");
  REQUIRE(door);
  CHECK(*door != ep(w));
  world.forget_flows();
  CHECK(world.out("10.0.0.3:5060", provider, other) == sent);
  CHECK(world.flow.sender.outside == *door);
  CHECK_FALSE(world.verdict.is_misplaced);
  // toward another provider the first one's endpoint is nobody's
  world.forget_flows();
  world.out("10.0.0.3:5060", "198.51.100.7:5060", with(with(other, "z9hG4bKx", "z9hG4bKy"), "call-2", "call-3"));
  CHECK(world.flow.sender.outside == ep(w));
  CHECK_FALSE(world.verdict.is_misplaced);
}

TEST_CASE("a door that misleads on another uplink is closed alone, and the phone's next message has one there") {
  World world;
  set_up_call(world);
  const auto way = [](std::string_view inside, std::string_view outside, std::string_view remote) {
    Flow flow;
    flow.sender = {ep(inside), ep(outside)};
    flow.receiver = {ep(remote), ep(remote)};
    return flow;
  };
  CHECK_FALSE(world.engine.close_doors_of(way("10.0.0.2:4000", "203.0.113.1:4002", "203.0.113.2:6000")));
  CHECK_FALSE(world.engine.close_doors_of(way("10.0.0.2:5060", w, "198.51.100.7:5060")));  // the door is not for that remote
  CHECK(world.engine.close_doors_of(way("10.0.0.2:4000", "203.0.113.1:4000", "203.0.113.2:6000")));
  CHECK_FALSE(world.engine.close_doors_of(way("10.0.0.2:4000", "203.0.113.1:4000", "203.0.113.2:6000")));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.door_of("10.0.0.2:4001"));
  CHECK(world.door_of(phone) == ep(w));
  CHECK(world.engine.close_doors_of(way("10.0.0.2:5060", w, "203.0.113.2:5060")));
  CHECK_FALSE(world.door_of(phone));
  world.uplink = "198.51.100.1";
  world.forget_flows();
  const std::string again = with(with(invite, "z9hG4bK1", "z9hG4bK2"), "CSeq: 1 ", "CSeq: 2 ");
  world.out(phone, provider, sip_text(again));
  CHECK(world.door_of(phone) == ep("198.51.100.1:5060"));
  CHECK(world.door_of("10.0.0.2:4000") == ep("198.51.100.1:4000"));
  world.pass_time(3h);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().doors == 0);
  CHECK(world.kernel.closed_twice == 0);
}
