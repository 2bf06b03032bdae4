// SPDX-License-Identifier: GPL-2.0-or-later
// Flows that were there before their door and would keep its packets from it, in the real kernel, with real packets.
#include <catch2/catch.hpp>
#include <unistd.h>

#include "test/conntrack/door_router.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

constexpr const char *phone_at = "10.0.0.2:4000", *remote_at = "203.0.113.2:6000", *door_at = "203.0.113.1:4010";
const std::string from_remote = std::string("hello from ") + remote_at;
const std::string from_door = std::string("hello from ") + door_at;

KernelDoor signalling(KernelDoor door) {
  door.signalling = true;
  return door;
}

// A phone, a remote, and an RTP packet each way.
struct Audio : Router {
  UdpSocket phone = world.udp(Side::inside, phone_at), remote = world.udp(Side::outside, remote_at);
  explicit Audio(Firewall firewall = Firewall::outward) : Router(firewall) {}
  std::string in() { return hears(phone, remote, door_at); }
  std::string out() { return hears(remote, phone, remote_at); }
};

} // namespace

TEST_CASE("the remote's packets of before the door do not keep it shut, for them and for the phone's") {
  for (const bool phone_first : {true, false}) {
    Audio r;
    REQUIRE(r.in() == "nothing");
    r.open({inbound(phone_at, door_at)});
    CHECK(r.keeper.counters().flows_deleted == 1);
    if (phone_first) CHECK(r.out() == from_door);
    CHECK(r.in() == from_remote);
    CHECK(r.out() == from_door);
  }
}

TEST_CASE("the next call has audio through the port of the last one, whose remote sends on between them") {
  Audio r;
  const auto first = r.open({inbound(phone_at, door_at), way_out("10.0.0.2", remote_at)});
  REQUIRE(r.out() == from_door);
  REQUIRE(r.in() == from_remote);
  r.keeper.close(first);
  r.keeper.tick(Instant{1h});
  REQUIRE(r.in() == "nothing");
  r.open({inbound(phone_at, door_at), way_out("10.0.0.2", remote_at)});
  r.keeper.tick(Instant{2h}); // on a busy machine the second look within a second waits for it
  CHECK(r.out() == from_door);
  CHECK(r.in() == from_remote);
}

TEST_CASE("a port is free although strays or a closed door's flows are there, and taken while a door's flow lives") {
  Audio r;
  const auto is_free = [&] { return r.keeper.is_free(Protocol::udp, ep(door_at), {}); };
  REQUIRE(r.in() == "nothing");
  CHECK(is_free());
  const auto first = r.open({inbound(phone_at, door_at)});
  REQUIRE(r.out() == from_door);
  r.keeper.close(first);
  CHECK(is_free());
  r.world.idle(2500ms); // what the last dump found holds for two seconds
  CHECK(is_free());
  const auto second = r.open({inbound(phone_at, door_at)});
  r.world.idle(2500ms);
  CHECK_FALSE(is_free());
  CHECK(r.keeper.has_flow(second));
  r.keeper.close(second);
  CHECK(is_free());
}

TEST_CASE("a phone that sends before its answer has passed leaves from its door then, and hears the remote's port") {
  Audio r;
  REQUIRE(r.out() == "hello from 203.0.113.1:4000");
  r.open({inbound(phone_at, door_at)});
  r.open({way_out("10.0.0.2", remote_at)});
  r.keeper.tick(Instant{2h}); // on a busy machine the second look within a second waits for it
  CHECK(r.out() == from_door);
  CHECK(r.in() == from_remote);
}

TEST_CASE("a remote that sends before its answer, while the phone's packets of the last call still flow") {
  Audio r;
  const auto first = r.open({inbound(phone_at, "203.0.113.1:4020"), way_out("10.0.0.2", remote_at)});
  REQUIRE(r.out() == "hello from 203.0.113.1:4020");
  r.keeper.close(first);
  r.open({inbound(phone_at, door_at)});
  REQUIRE(r.in() != from_remote); // the phone's flow has the remote's port, so the kernel gives this one another
  r.open({way_out("10.0.0.2", remote_at)});
  r.keeper.tick(Instant{2h}); // on a busy machine the second look within a second waits for it
  CHECK(r.in() == from_remote);
  CHECK(r.out() == from_door);
}

TEST_CASE("a packet that was on its way while the door was made is found by the next tick") {
  Audio r;
  r.open({inbound(phone_at, door_at)});
  r.world.run(Side::router, "conntrack -I -p udp -s 203.0.113.2 --sport 6000 -d 203.0.113.1 --dport 4010 -t 30 "
                            "-r 203.0.113.1 -q 203.0.113.2 --reply-port-src 4010 --reply-port-dst 6000");
  REQUIRE(r.in() == "nothing");
  r.keeper.tick(Instant{1h});
  CHECK(r.keeper.counters().flows_deleted == 1);
  CHECK(r.in() == from_remote);
  r.keeper.tick(Instant{1h + 2s});
  CHECK(r.keeper.counters().flows_deleted == 1);
}

TEST_CASE("a door for SIP is not kept shut by a provider that asked before it was there") {
  Audio r;
  const auto other = r.world.udp(Side::outside, "203.0.113.3:6000");
  REQUIRE(r.in() == "nothing");
  REQUIRE(r.hears(r.phone, other, door_at) == "nothing");
  r.open({signalling(inbound(phone_at, door_at, *parse_network("203.0.113.2")))});
  CHECK(r.in() == from_remote);
  CHECK(r.keeper.counters().flows_deleted == 1); // the other's leads nowhere as before
}

TEST_CASE("what is not in a door's way stays") {
  Audio r;
  const auto turn = r.world.udp(Side::outside, "203.0.113.2:3478"), sip = r.world.udp(Side::inside, "10.0.0.2:5060");
  const auto second = r.world.udp(Side::inside, "10.0.0.3:4000");
  const auto service = r.world.udp(Side::router, "203.0.113.1:4500");
  // the phone's flows to where no call leads, its SIP, another host's, what a program of the router answers
  REQUIRE(r.hears(turn, r.phone, "203.0.113.2:3478") == "hello from 203.0.113.1:4000");
  REQUIRE(r.hears(r.remote, sip, remote_at) == "hello from 203.0.113.1:5060");
  REQUIRE(r.hears(r.remote, second, remote_at) == "hello from 203.0.113.1:4000");
  REQUIRE(r.hears(service, r.remote, "203.0.113.1:4500") == from_remote);
  REQUIRE(r.hears(r.remote, service, remote_at) == "hello from 203.0.113.1:4500");
  const auto flows = [&] { return r.world.run(Side::router, "conntrack -L -p udp 2>/dev/null | grep -vc src=127."); };
  REQUIRE(flows() == "4\n");
  r.open({inbound(phone_at, door_at), way_out("10.0.0.2", remote_at), inbound("10.0.0.2:4500", "203.0.113.1:4500"),
          signalling(inbound("10.0.0.2:5060", "203.0.113.1:5062", *parse_network("203.0.113.2")))});
  r.keeper.tick(Instant{1h});
  CHECK(r.keeper.counters().flows_deleted == 0);
  CHECK(flows() == "4\n");
}

TEST_CASE("IPv6 and TCP doors are not kept shut either") {
  Router r;
  const auto phone = r.world.udp(Side::inside, "[fd00::2]:4000"),
             remote = r.world.udp(Side::outside, "[2001:db8::2]:6000");
  REQUIRE(r.hears(phone, remote, "[2001:db8::1]:4010") == "nothing");
  r.open({inbound("[fd00::2]:4000", "[2001:db8::1]:4010")});
  CHECK(r.hears(phone, remote, "[2001:db8::1]:4010") == "hello from [2001:db8::2]:6000");
  const auto call = [&] { return r.world.tcp(Side::inside, phone_at, Side::outside, remote_at, door_at); };
  REQUIRE(call() == "nothing");
  auto door = inbound(phone_at, door_at);
  door.protocol = Protocol::tcp;
  r.open({door});
  r.keeper.tick(Instant{1h});
  CHECK(call() == remote_at);
}

TEST_CASE("a TCP connection that was there before its door goes on") {
  Router r;
  const auto pair = r.world.connect(Side::outside, remote_at, Side::inside, phone_at, remote_at);
  REQUIRE(pair);
  REQUIRE(to_string(pair->seen) == "203.0.113.1:4000");
  auto in = inbound(phone_at, door_at), out = way_out("10.0.0.2", remote_at);
  in.protocol = out.protocol = Protocol::tcp;
  r.open({in, out});
  r.keeper.tick(Instant{1h});
  REQUIRE(write(pair->client.get(), "hello", 5) == 5);
  CHECK(r.world.read(pair->server) == "hello");
  CHECK(r.keeper.counters().flows_deleted == 0);
}
