// SPDX-License-Identifier: GPL-2.0-or-later
// Doors against the real kernel, with real packets.
#include <catch2/catch.hpp>
#include <poll.h>
#include <thread>

#include "test/conntrack/door_router.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

TEST_CASE("remote first: a door lets its packets in, and the answer leaves from it") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "nothing");
  r.world.run(Side::router, "conntrack -F");
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "hello from 203.0.113.1:4010");
}

TEST_CASE("phone first: leaves from its door, the remote's packets come back, another remote's too") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  const auto other = r.world.udp(Side::outside, "203.0.113.3:7000");
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "hello from 203.0.113.1:4010");
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  CHECK(r.hears(phone, other, "203.0.113.1:4010") == "hello from 203.0.113.3:7000");
}

TEST_CASE("IPv6, translated: both orders") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "[fd00::2]:4000"),
             remote = r.world.udp(Side::outside, "[2001:db8::2]:6000");
  const auto second = r.world.udp(Side::inside, "[fd00::2]:4002");
  r.open({inbound("[fd00::2]:4000", "[2001:db8::1]:4010"),
          inbound("[fd00::2]:4002", "[2001:db8::1]:4012", *parse_network("2001:db8::2"))});
  CHECK(r.hears(phone, remote, "[2001:db8::1]:4010") == "hello from [2001:db8::2]:6000");
  CHECK(r.hears(remote, phone, "[2001:db8::2]:6000") == "hello from [2001:db8::1]:4010");
  CHECK(r.hears(remote, second, "[2001:db8::2]:6000") == "hello from [2001:db8::1]:4012");
  CHECK(r.hears(second, remote, "[2001:db8::1]:4012") == "hello from [2001:db8::2]:6000");
}

TEST_CASE("TCP doors, under the same anchors: both orders, both families") {
  Router r;
  auto v4 = inbound("10.0.0.2:4000", "203.0.113.1:4010"), v6 = inbound("[fd00::2]:4000", "[2001:db8::1]:4010");
  v4.protocol = v6.protocol = Protocol::tcp;
  CHECK(r.world.tcp(Side::inside, "10.0.0.2:4000", Side::outside, "203.0.113.2:6000", "203.0.113.1:4010") == "nothing");
  r.open({v4, v6, inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  CHECK(r.world.tcp(Side::inside, "10.0.0.2:4000", Side::outside, "203.0.113.2:6001", "203.0.113.1:4010") ==
        "203.0.113.2:6001");
  CHECK(r.world.tcp(Side::inside, "[fd00::2]:4000", Side::outside, "[2001:db8::2]:6001", "[2001:db8::1]:4010") ==
        "[2001:db8::2]:6001");
  CHECK(r.world.tcp(Side::outside, "203.0.113.2:6002", Side::inside, "10.0.0.2:4000", "203.0.113.2:6002") ==
        "203.0.113.1:4010");
}

TEST_CASE("without NAT a door is a pinhole") {
  Router r(Firewall::outward, false);
  const auto phone = r.world.udp(Side::inside, "[fd00::2]:4000"),
             remote = r.world.udp(Side::outside, "[2001:db8::2]:6000");
  CHECK(r.hears(phone, remote, "[fd00::2]:4000") == "nothing");
  r.world.run(Side::router, "conntrack -F");
  r.open({inbound("[fd00::2]:4000", "[fd00::2]:4000"), inbound("10.0.0.2:4000", "10.0.0.2:4000")});
  CHECK(r.hears(phone, remote, "[fd00::2]:4000") == "hello from [2001:db8::2]:6000");
  CHECK(r.elements() == "0\n");
}

TEST_CASE("hairpin: two phones behind us see only each other's outside endpoints") {
  Router r;
  const auto a = r.world.udp(Side::inside, "10.0.0.2:4000"), b = r.world.udp(Side::inside, "10.0.0.3:4000");
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010"), inbound("10.0.0.3:4000", "203.0.113.1:4020")});
  CHECK(r.hears(b, a, "203.0.113.1:4020") == "hello from 203.0.113.1:4010");
  CHECK(r.hears(a, b, "203.0.113.1:4010") == "hello from 203.0.113.1:4020");
}

TEST_CASE("packets between inside networks that take no door are left alone") {
  Router r(Firewall::none);
  r.world.run(Side::outside, "ip addr add 10.9.0.2/24 dev o0");
  r.world.run(Side::router, "ip addr add 10.9.0.1/24 dev wan0; nft flush chain inet fw post");
  r.world.run(Side::outside, "ip route replace 10.0.0.0/24 via 10.9.0.1");
  REQUIRE(r.steering.set_inside({*parse_network("10.0.0.0/24"), *parse_network("10.9.0.0/24")}));
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"), lan = r.world.udp(Side::outside, "10.9.0.2:4000");
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  CHECK(r.hears(lan, phone, "10.9.0.2:4000") == "hello from 10.0.0.2:4000");
}

TEST_CASE("a door for one remote address serves nobody else; another scope leads another way") {
  Router r;
  const auto first = r.world.udp(Side::inside, "10.0.0.2:5062"), second = r.world.udp(Side::inside, "10.0.0.3:5062");
  const auto remote = r.world.udp(Side::outside, "203.0.113.2:6000"),
             other = r.world.udp(Side::outside, "203.0.113.3:6000");
  r.open({inbound("10.0.0.2:5062", "203.0.113.1:5062", *parse_network("203.0.113.2"))});
  CHECK(r.hears(first, other, "203.0.113.1:5062") == "nothing");
  r.world.run(Side::router, "conntrack -D -p udp --orig-port-dst 5062");
  r.open({inbound("10.0.0.3:5062", "203.0.113.1:5062", *parse_network("203.0.113.3"))});
  CHECK(r.hears(first, remote, "203.0.113.1:5062") == "hello from 203.0.113.2:6000");
  CHECK(r.hears(second, other, "203.0.113.1:5062") == "hello from 203.0.113.3:6000");
}

TEST_CASE("a door for the configured peers serves their network") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5062"),
             remote = r.world.udp(Side::outside, "203.0.113.3:6000");
  r.open({inbound("10.0.0.2:5062", "203.0.113.1:5062", *parse_network("203.0.113.2/31"))});
  CHECK(r.hears(phone, remote, "203.0.113.1:5062") == "hello from 203.0.113.3:6000");
  CHECK(r.refused({inbound("10.0.0.2:5064", "203.0.113.1:5064", *parse_network("198.51.100.0/24"))}) ==
        errno_code(EINVAL));
}

TEST_CASE("a way out lets the host through a firewall that drops outwards, from any port") {
  Router r(Firewall::strict);
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4444"), other = r.world.udp(Side::inside, "10.0.0.3:4444");
  const auto remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "nothing");
  r.world.run(Side::router, "conntrack -F");
  r.open({way_out("10.0.0.2", "203.0.113.2:6000")});
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "hello from 203.0.113.1:4444");
  CHECK(r.hears(remote, other, "203.0.113.2:6000") == "nothing");
}

TEST_CASE("closing takes everything away, the flows of media at the latest a second later") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  std::vector<KernelDoor> doors;
  for (int i = 0; i < 10; ++i) {
    KernelDoor door = inbound("10.0.0.2:4000", "203.0.113.1:4010");
    door.inside.port = static_cast<uint16_t>(door.inside.port + i);
    door.outside.port = static_cast<uint16_t>(door.outside.port + i);
    doors.push_back(door);
  }
  const auto handles = r.open(doors);
  CHECK(r.anchors() == 3);
  CHECK(r.expectations() == 10);
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  CHECK(r.keeper.has_flow(std::vector{handles[0]}));
  CHECK_FALSE(r.keeper.has_flow(std::vector{handles[1]}));
  r.keeper.close(std::vector{handles[0], handles[4], handles[5], handles[6], handles[7]});
  r.keeper.flush();
  CHECK(r.anchors() == 2);
  CHECK(r.expectations() == 5);
  r.keeper.tick(Instant{1h});
  CHECK(r.keeper.counters().flows_deleted == 1);
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "nothing");
  r.keeper.close(handles);
  r.keeper.flush();
  CHECK(r.anchors() == 0);
  CHECK(r.expectations() == 0);
  CHECK(r.elements() == "0\n");
}

TEST_CASE("the end closes every door: flows of those that stood go on, of those closed before they do not") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"), other = r.world.udp(Side::inside, "10.0.0.2:4002"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  const auto ended = r.open({inbound("10.0.0.2:4002", "203.0.113.1:4012")});
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  CHECK(r.hears(other, remote, "203.0.113.1:4012") == "hello from 203.0.113.2:6000");
  r.keeper.close(ended);
  r.keeper.close_all();
  CHECK(r.anchors() == 0);
  CHECK(r.expectations() == 0);
  CHECK(r.elements() == "0\n");
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  CHECK(r.hears(other, remote, "203.0.113.1:4012") == "nothing");
}

TEST_CASE("a media door opened again before the sweep keeps its flows") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  const auto door = inbound("10.0.0.2:4000", "203.0.113.1:4010");
  const auto handles = r.open({door});
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  r.keeper.close(handles);
  r.open({door});
  r.keeper.tick(Instant{1h});
  CHECK(r.keeper.counters().flows_deleted == 0);
}

TEST_CASE("all or nothing: whichever door the kernel refuses, nothing of the others stays") {
  Router r;
  const auto foreign = Anchor{4'000'000, Family::v4, 0};
  for (unsigned refused = 0; refused < 6; ++refused) {
    std::vector<KernelDoor> doors;
    for (unsigned i = 0; i < 6; ++i) {
      KernelDoor door = inbound("10.0.0.2:4000", "203.0.113.1:4010");
      door.inside.port = static_cast<uint16_t>(4000 + i);
      door.outside.port = static_cast<uint16_t>(4010 + i);
      door.signalling = true;
      doors.push_back(door);
    }
    Ctnetlink conntrack;
    NetlinkBatch batch;
    put_anchor(batch, foreign, 60s);
    put_pinhole(batch, foreign, {Protocol::udp, {}, doors[refused].outside});
    REQUIRE_FALSE(first_error(conntrack.socket().exchange(batch)));
    CHECK(r.refused(doors) == errno_code(EEXIST));
    CHECK(r.anchors() == 1);
    CHECK(r.expectations() == 1);
    CHECK(r.world.run(Side::router, "nft list table inet sipalg | grep -c \"203.0.113.1 \\. \"") == "0\n");
    batch.clear();
    put_anchor_delete(batch, foreign);
    REQUIRE_FALSE(first_error(conntrack.socket().exchange(batch)));
  }
  CHECK(r.keeper.door_count() == 0);
}

TEST_CASE("a translation that leads elsewhere already refuses the whole") {
  Router r;
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  const auto error =
      r.refused({inbound("10.0.0.2:4002", "203.0.113.1:4012"), inbound("10.0.0.3:4000", "203.0.113.1:4010")});
  CHECK((error == errno_code(EEXIST) || error == errno_code(EBUSY)));
  CHECK(r.anchors() == 1);
  CHECK(r.world.run(Side::router, "nft list table inet sipalg | grep -c 4012") == "0\n");
}

TEST_CASE("conntrack -F in mid flow: translations stand, pinholes are back at once") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  r.world.pump = [&] { r.keeper.on_events(); };
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010"), inbound("[fd00::2]:4000", "[2001:db8::1]:4010")});
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  r.world.run(Side::router, "conntrack -F; conntrack -F -f ipv6");
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "hello from 203.0.113.1:4010");
  r.world.idle(20ms);
  CHECK(r.anchors() == 2);
  CHECK(r.expectations() == 2);
  CHECK(r.keeper.counters().anchors_repaired == 2);
  r.world.run(Side::router, "conntrack -F");
  r.world.idle(20ms);
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
}

TEST_CASE("expectations alone deleted: they are back at once") {
  Router r;
  r.world.pump = [&] { r.keeper.on_events(); };
  r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010"), way_out("10.0.0.2", "203.0.113.2:6000"),
          inbound("10.0.0.2:4002", "203.0.113.1:4012", *parse_network("203.0.113.2/31"))});
  r.world.run(Side::router, "conntrack -F expect");
  r.world.idle(20ms);
  CHECK(r.expectations() == 3);
  CHECK(r.keeper.counters().pinholes_repaired == 3);
}

static std::vector<DoorHandle> many_doors(Router& r, int count) {
  std::vector<DoorHandle> handles;
  for (int i = 0; i < count; ++i) {
    const std::string inside = "10.0.0.2:" + std::to_string(4000 + i), outside = "203.0.113.1:" + std::to_string(5000 + i);
    handles.push_back(r.open({inbound(inside.c_str(), outside.c_str())}).front());
  }
  return handles;
}

TEST_CASE("many doors closed at once tell no events, and what somebody else deletes is heard of again") {
  Router r;
  const std::vector<DoorHandle> handles = many_doors(r, 40);
  r.keeper.tick(Instant{std::chrono::hours{1}});
  r.keeper.close(std::span(handles).first(30));
  r.keeper.flush();
  CHECK(r.expectations() == 10);
  pollfd events{r.keeper.event_fd(), POLLIN, 0};
  CHECK(poll(&events, 1, 0) == 0);
  r.keeper.tick(Instant{std::chrono::hours{1} + 1s});
  CHECK(r.keeper.counters().resyncs == 0);
  r.world.pump = [&] { r.keeper.on_events(); };
  r.world.run(Side::router, "conntrack -F expect");
  r.world.idle(20ms);
  CHECK(r.expectations() == 10);
}

TEST_CASE("a pinhole that goes unheard while many doors are closed is found by the next tick") {
  Router r;
  const std::vector<DoorHandle> handles = many_doors(r, 40);
  r.keeper.tick(Instant{std::chrono::hours{1}});
  r.world.run(Side::router, "conntrack -F expect");  // nobody reads what the events tell
  r.keeper.close(std::span(handles).first(30));
  r.keeper.flush();
  CHECK(r.keeper.next_tick() <= Instant{std::chrono::hours{1}});
  r.keeper.tick(Instant{std::chrono::hours{1}});
  CHECK(r.keeper.counters().resyncs == 1);
  CHECK(r.expectations() == 10);
}

TEST_CASE("anchors that go unheard while many doors are closed are found by the next tick, too") {
  Router r;
  const std::vector<DoorHandle> handles = many_doors(r, 40);
  r.keeper.tick(Instant{std::chrono::hours{1}});
  r.world.run(Side::router, "conntrack -F");  // nobody reads what the events tell
  r.keeper.close(std::span(handles).first(30));
  r.keeper.flush();
  r.keeper.tick(Instant{std::chrono::hours{1}});
  CHECK(r.anchors() == 10);
  CHECK(r.expectations() == 10);
}

TEST_CASE("a door that is closed waits some milliseconds for others, and so many wait for nobody") {
  Router r;
  const std::vector<DoorHandle> handles = many_doors(r, 70);
  const Instant now{std::chrono::hours{1}};
  CHECK(r.keeper.flush_when_due(now) == Instant::max());
  r.keeper.close(std::span(handles).first(2));
  CHECK(r.keeper.flush_when_due(now) == now + longest_wait_of_closings);
  r.keeper.close(std::span(handles).subspan(2, 1));
  CHECK(r.keeper.flush_when_due(now + 3ms) == now + longest_wait_of_closings);  // the first one counts
  CHECK(r.expectations() == 70);
  CHECK(r.keeper.flush_when_due(now + longest_wait_of_closings) == Instant::max());
  CHECK(r.expectations() == 67);
  r.keeper.close(std::span(handles).subspan(3, 1));
  CHECK(r.keeper.flush_when_due(now + 5ms) == now + 5ms + longest_wait_of_closings);
  r.keeper.close(std::span(handles).subspan(4, 63));
  CHECK(r.keeper.flush_when_due(now + 5ms) == Instant::max());
  CHECK(r.expectations() == 3);
}

TEST_CASE("many wishes are carried out together, and the one that is refused is refused alone") {
  Router r;
  r.open({inbound("10.0.0.9:4000", "203.0.113.1:4020")});
  std::array<std::vector<KernelDoor>, 4> doors{{{inbound("10.0.0.2:4000", "203.0.113.1:4010"), inbound("10.0.0.2:4001", "203.0.113.1:4011")},
                                                {inbound("10.0.0.3:4000", "203.0.113.1:4020")},  // it has an owner
                                                {way_out("10.0.0.2", "203.0.113.2:6000")},
                                                {inbound("[fd00::2]:4000", "[2001:db8::1]:4010")}}};
  std::array<std::array<DoorHandle, 2>, 4> handles{};
  std::array<DoorKeeper::Wish, 4> wishes;
  std::array<DoorKeeper::Wish*, 4> all{};
  for (const bool with_refused : {false, true}) {
    for (std::size_t i = 0; i < wishes.size(); ++i) {
      wishes[i] = {doors[i], std::span(handles[i]).first(doors[i].size()), 0, {}};
      all[i] = &wishes[i];
    }
    if (!with_refused) std::swap(all[1], all[3]);
    const std::size_t before = r.expectations();
    r.keeper.open_all(with_refused ? std::span<DoorKeeper::Wish* const>(all) : std::span<DoorKeeper::Wish* const>(all).first(3));
    CHECK(r.expectations() == before + 4);
    for (const std::size_t i : {0U, 2U, 3U}) {
      REQUIRE(wishes[i].result);
      CHECK(*wishes[i].result);
      CHECK(handles[i][0] != 0);
    }
    CHECK(wishes[1].result.has_value() == with_refused);
    if (with_refused) CHECK_FALSE(*wishes[1].result);
    CHECK(handles[1][0] == 0);
    for (const std::size_t i : {0U, 2U, 3U}) r.keeper.close(std::span(handles[i]).first(doors[i].size()));
    r.keeper.flush();
    CHECK(r.expectations() == 1);
    CHECK(r.anchors() == 1);
    CHECK(r.keeper.door_count() == 1);
  }
}

TEST_CASE("many refreshes are done by next_tick(), each anchor in its time") {
  Router r;
  const Instant begin{1h};
  r.keeper.tick(begin);
  std::vector<KernelDoor> doors;
  for (uint16_t i = 0; i < 2000; ++i) {
    KernelDoor door = inbound("10.0.0.2:4000", "203.0.113.1:4000");
    door.inside.port = door.outside.port = static_cast<uint16_t>(4000 + i);
    doors.push_back(door);
  }
  const auto handles = r.open(doors);
  CHECK(r.anchors() == 500);
  r.world.run(Side::router, "conntrack -F expect");
  Instant now = begin;
  for (int ticks = 0; now < begin + 59s && ticks < 1000; ++ticks) r.keeper.tick(now = std::max(now + 1ms, r.keeper.next_tick()));
  const Instant first_due = begin + 60s;
  CHECK(now == first_due); // nothing to do before
  for (int ticks = 0; now < first_due + 30s && ticks < 5000; ++ticks) r.keeper.tick(now = std::max(now + 1ms, r.keeper.next_tick()));
  CHECK(r.expectations() == 2000);
  CHECK(r.keeper.next_tick() >= first_due + 60s);
  r.keeper.close(handles);
  r.keeper.flush();
  CHECK(r.anchors() == 0);
}

TEST_CASE("a way out lives while its host has a flow to that endpoint") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"), remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  const auto used = r.open({way_out("10.0.0.2", "203.0.113.2:6000")}), other_port = r.open({way_out("10.0.0.2", "203.0.113.2:6001")}),
             other_host = r.open({way_out("10.0.0.3", "203.0.113.2:6000")});
  CHECK_FALSE(r.keeper.has_flow(used));
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "hello from 203.0.113.1:4000");
  r.world.idle(2100ms); // what the last dump found holds for two seconds
  CHECK(r.keeper.has_flow(used));
  CHECK_FALSE(r.keeper.has_flow(other_port));
  CHECK_FALSE(r.keeper.has_flow(other_host));
}

TEST_CASE("media that nobody answers is media, with NAT and without") {
  for (const bool translates : {false, true}) {
    Router r(Firewall::outward, translates);
    const char* const outside = translates ? "203.0.113.1:4000" : "10.0.0.2:4000";
    const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"), remote = r.world.udp(Side::outside, "203.0.113.2:6000");
    const auto handles = r.open({inbound("10.0.0.2:4000", outside)});
    CHECK_FALSE(r.keeper.has_flow(handles));
    r.world.idle(2100ms);  // what the last dump found holds for two seconds
    CHECK(r.hears(phone, remote, outside) == "hello from 203.0.113.2:6000");
    CHECK(r.keeper.has_flow(handles));
  }
}

TEST_CASE("refresh: leases are renewed, what is missing is made again") {
  Router r;
  const auto handles =
      r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010"), inbound("10.0.0.2:4001", "203.0.113.1:4011")});
  r.keeper.tick(Instant{1h});
  std::this_thread::sleep_for(1500ms);
  r.world.run(Side::router, "conntrack -F expect");
  r.keeper.tick(Instant{1h + 30s});
  CHECK(r.expectations() == 0);
  r.keeper.tick(Instant{1h + 60s});
  CHECK(r.expectations() == 2);
  r.world.run(Side::router, "conntrack -F");
  r.keeper.tick(Instant{1h + 120s});
  CHECK(r.anchors() == 1);
  CHECK(r.expectations() == 2);
  Ctnetlink conntrack;
  REQUIRE(conntrack.dump_expectations([&](const Expectation& e) { CHECK(e.timeout >= 178s); }));
}

TEST_CASE("two signalling doors share an endpoint of the steering sets") {
  Router r;
  auto one = inbound("10.0.0.2:5062", "203.0.113.1:5062", *parse_network("203.0.113.2"));
  auto two = inbound("10.0.0.2:5062", "203.0.113.1:5062", *parse_network("203.0.113.3"));
  one.signalling = two.signalling = true;
  const auto first = r.open({one}), second = r.open({two});
  const auto steered = [&] {
    return r.world.run(Side::router, "nft list set inet sipalg endpoints_udp4 | grep -c 5062");
  };
  CHECK(steered() != "0\n");
  r.keeper.close(first);
  r.keeper.flush();
  CHECK(steered() != "0\n");
  r.keeper.close(second);
  r.keeper.flush();
  CHECK(steered() == "0\n");
}

TEST_CASE("free is what no flow and no socket holds") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  const auto local = r.world.udp(Side::router, "203.0.113.1:4500");
  CHECK(r.hears(remote, phone, "203.0.113.2:6000") == "hello from 203.0.113.1:4000");
  CHECK_FALSE(r.keeper.is_free(Protocol::udp, ep("203.0.113.1:4000"), {}));
  CHECK_FALSE(r.keeper.is_free(Protocol::udp, ep("203.0.113.1:4500"), {}));
  CHECK(r.keeper.is_free(Protocol::tcp, ep("203.0.113.1:4500"), {}));
  CHECK(r.keeper.is_free(Protocol::udp, ep("203.0.113.1:4002"), {}));
  r.open({inbound("10.0.0.2:4002", "203.0.113.1:4002")});
  CHECK_FALSE(r.keeper.is_free(Protocol::udp, ep("203.0.113.1:4002"), {}));
}

TEST_CASE("an endpoint's own flows do not keep its port from it") {
  Router r;
  r.world.run(Side::router, "conntrack -I -p udp -s 10.0.0.2 --sport 4000 -d 203.0.113.2 --dport 6000 -t 60 "
                            "-r 203.0.113.2 -q 203.0.113.1 --reply-port-src 6000 --reply-port-dst 4000");
  r.world.run(Side::router, "conntrack -I -p udp -s 203.0.113.2 --sport 6002 -d 203.0.113.1 --dport 4002 -t 60 -u SEEN_REPLY "
                            "-r 10.0.0.2 -q 203.0.113.2 --reply-port-src 4002 --reply-port-dst 6002");
  for (const char* port : {"4000", "4002"}) {
    const Endpoint outside = ep(std::string("203.0.113.1:") + port);
    CHECK(r.keeper.is_free(Protocol::udp, outside, ep(std::string("10.0.0.2:") + port)));
    CHECK_FALSE(r.keeper.is_free(Protocol::udp, outside, ep(std::string("10.0.0.3:") + port)));
    CHECK_FALSE(r.keeper.is_free(Protocol::udp, outside, ep("10.0.0.2:4444")));
  }
}

TEST_CASE("the kernel's list of sockets says what bind() says") {
  Router r;
  const auto one = r.world.udp(Side::router, "203.0.113.1:4500"), all = r.world.udp(Side::router, "0.0.0.0:4501");
  const auto other = r.world.udp(Side::router, "10.0.0.1:4502"), both = r.world.udp(Side::router, "[::]:4503");
  const auto one6 = r.world.udp(Side::router, "[2001:db8::1]:4504"), mapped = r.world.udp(Side::router, "[::ffff:203.0.113.1]:4505");
  LocalSockets sockets;
  for (const char* address : {"203.0.113.1", "10.0.0.1", "2001:db8::1", "fd00::1"}) {
    PortSet ports;
    REQUIRE(sockets.find_udp(*parse_address(address), ports));
    for (uint16_t port = 4499; port < 4507; ++port) {
      CAPTURE(address, port);
      CHECK(ports.test(port) == is_bound(Protocol::udp, {*parse_address(address), port}));
    }
  }
}

TEST_CASE("with a thread for its dumps a keeper sweeps all the same") {
  Router r;
  NfDoorKeeperOptions options;
  options.has_thread = true;
  NfDoorKeeper keeper(r.steering, options);
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:4000"), remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  Instant now{1h};
  keeper.tick(now);
  const auto waits_for_deletions = [&](uint64_t number) {
    for (int i = 0; i < 200 && keeper.counters().flows_deleted < number; ++i) {
      keeper.tick(now += 10ms);
      r.world.idle(1ms);
    }
    return keeper.counters().flows_deleted == number;
  };
  std::vector<DoorHandle> handles(1), again(1), stray(1);
  CHECK(keeper.is_free(Protocol::udp, ep("203.0.113.1:4010"), {}));
  REQUIRE(keeper.open(std::vector{inbound("10.0.0.2:4000", "203.0.113.1:4010")}, handles));
  CHECK_FALSE(keeper.is_free(Protocol::udp, ep("203.0.113.1:4010"), {}));
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
  keeper.close(handles);
  CHECK(keeper.is_free(Protocol::udp, ep("203.0.113.1:4010"), {}));
  CHECK(waits_for_deletions(1));
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "nothing");
  // a stray that comes while the door is made
  REQUIRE(keeper.open(std::vector{inbound("10.0.0.2:4000", "203.0.113.1:4020")}, stray));
  r.world.run(Side::router, "conntrack -I -p udp -s 203.0.113.2 --sport 6000 -d 203.0.113.1 --dport 4020 -t 30 "
                            "-r 203.0.113.1 -q 203.0.113.2 --reply-port-src 4020 --reply-port-dst 6000");
  REQUIRE(r.hears(phone, remote, "203.0.113.1:4020") == "nothing");
  CHECK(waits_for_deletions(2));
  CHECK(r.hears(phone, remote, "203.0.113.1:4020") == "hello from 203.0.113.2:6000");
  // opened again while its sweep runs: it keeps its flows
  keeper.close(stray);
  keeper.tick(now += 2s);
  REQUIRE(keeper.open(std::vector{inbound("10.0.0.2:4000", "203.0.113.1:4020")}, again));
  for (int i = 0; i < 50; ++i) keeper.tick(now += 10ms), r.world.idle(1ms);
  CHECK(keeper.counters().flows_deleted == 2);
  r.world.idle(2100ms); // what the last dump found of ports holds for two seconds
  CHECK(keeper.has_flow(again));
}

TEST_CASE("a door that was closed and not flushed makes way for another") {
  Router r;
  const auto first = r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010"), way_out("10.0.0.2", "203.0.113.2:6000")});
  r.keeper.close(first);
  CHECK(r.anchors() == 1);
  const auto apart = r.open({inbound("10.0.0.5:4000", "203.0.113.1:4050")}); // not in its way
  CHECK(r.expectations() >= 1);
  r.open({inbound("10.0.0.3:4000", "203.0.113.1:4010")}); // the outside endpoint goes to another host
  r.keeper.close(apart);
  r.open({inbound("10.0.0.5:4000", "203.0.113.1:4060")}); // the inside endpoint gets another
  CHECK(r.expectations() == 2);
  CHECK(r.keeper.door_count() == 2);
  const auto phone = r.world.udp(Side::inside, "10.0.0.3:4000"), remote = r.world.udp(Side::outside, "203.0.113.2:6000");
  CHECK(r.hears(phone, remote, "203.0.113.1:4010") == "hello from 203.0.113.2:6000");
}

TEST_CASE("siblings share an anchor, which goes with the last of them") {
  Router r;
  const auto media = r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010"), inbound("10.0.0.2:4001", "203.0.113.1:4011")});
  std::vector<DoorHandle> out(3);
  const std::vector<KernelDoor> ways_out{way_out("10.0.0.2", "203.0.113.2:6000"), way_out("10.0.0.2", "203.0.113.2:6001"),
                                         way_out("10.0.0.2", "203.0.113.2:6002")};
  REQUIRE(r.keeper.open(ways_out, out, media[0]));
  CHECK(r.anchors() == 2); // the third found no room
  CHECK(r.expectations() == 5);
  r.keeper.close(std::vector{media[0], out[1]});
  r.keeper.flush();
  CHECK(r.anchors() == 2);
  CHECK(r.expectations() == 3);
  r.keeper.close(std::vector{media[1], out[0], out[2]});
  r.keeper.flush();
  CHECK(r.anchors() == 0);
  CHECK(r.expectations() == 0);
}

TEST_CASE("refused beside a sibling: the sibling stays, what was made beside it goes") {
  Router r;
  const auto media = r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  std::vector<DoorHandle> out(2);
  const std::vector<KernelDoor> twice{way_out("10.0.0.2", "203.0.113.2:6000"), way_out("10.0.0.2", "203.0.113.2:6000")};
  CHECK(r.keeper.open(twice, out, media[0]).error() == errno_code(EEXIST));
  CHECK(r.anchors() == 1);
  CHECK(r.expectations() == 1);
  CHECK(r.keeper.door_count() == 1);
}

TEST_CASE("a sibling whose anchor is lost is no hindrance") {
  Router r;
  const auto media = r.open({inbound("10.0.0.2:4000", "203.0.113.1:4010")});
  r.world.run(Side::router, "conntrack -F");
  std::vector<DoorHandle> out(1);
  REQUIRE(r.keeper.open(std::vector{way_out("10.0.0.2", "203.0.113.2:6000")}, out, media[0]));
  r.keeper.on_events();
  CHECK(r.expectations() == 2);
}

TEST_CASE("a dead daemon's anchors are swept by the next one") {
  Router r;
  {
    Ctnetlink conntrack;
    NetlinkBatch batch;
    for (const uint32_t number : {7U, 90'000U}) put_anchor(batch, {number, Family::v4, 0}, 600s);
    put_anchor(batch, {7, Family::v6, 0}, 600s);
    put_anchor(batch, {7, Family::v4, 3}, 600s);
    REQUIRE_FALSE(first_error(conntrack.socket().exchange(batch)));
  }
  CHECK(r.anchors() == 4);
  NfDoorKeeper next(r.steering);
  CHECK(next.counters().leftovers == 4);
  CHECK(r.anchors() == 0);
}
