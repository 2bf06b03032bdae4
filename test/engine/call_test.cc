// SPDX-License-Identifier: GPL-2.0-or-later
// Whole calls through the engine: an ordinary call out, a registration and a call in.
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

TEST_CASE("an outgoing INVITE shows the provider outside addresses only, and nothing else is changed") {
  World world;
  const std::string sent = sip_text(invite);
  const std::string got = world.out(phone, provider, sent);
  std::string expected = invite;
  expected = with(expected, "UDP 10.0.0.2:5060;branch", "UDP 203.0.113.1:5060;branch");
  expected = with(expected, "alice@10.0.0.2>;tag", "alice@203.0.113.1>;tag");
  expected = with(expected, "alice@10.0.0.2:5060;ob", "alice@203.0.113.1:5060;ob");
  expected = with(expected, "IN IP4 10.0.0.2\n", "IN IP4 203.0.113.1\n");
  expected = with(expected, "10.0.0.2 4000 typ", "203.0.113.1 4000 typ");
  expected = with(expected, "10.0.0.2 4001 typ", "203.0.113.1 4001 typ");
  CHECK(got == sip_text(expected));
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
  CHECK(world.door_of("10.0.0.2:4001") == ep("203.0.113.1:4001"));
  CHECK(world.door_of(phone) == ep(w));
}

TEST_CASE("a retransmission gets the same bytes and changes nothing") {
  World world;
  const std::string sent = sip_text(invite);
  const std::string first = world.out(phone, provider, sent);
  const auto doors = world.kernel.living;
  const std::size_t opened = world.kernel.opened;
  CHECK(world.out(phone, provider, sent) == first);
  CHECK(world.kernel.living == doors);
  CHECK(world.kernel.opened == opened);
  CHECK(world.stats()[Event::retransmitted_invites] == 1);
}

TEST_CASE("what was mapped comes back with the bytes the phone sent") {
  World world;
  world.out(phone, provider, sip_text(invite));
  const std::string got = world.delivered(provider, w, sip_text(ok_to_invite));
  std::string expected = ok_to_invite;
  expected = with(expected, "UDP 203.0.113.1:5060;branch=z9hG4bK1;received=203.0.113.1;rport=5060",
                  "UDP 10.0.0.2:5060;branch=z9hG4bK1;received=10.0.0.2;rport=5060");
  expected = with(expected, "alice@203.0.113.1>", "alice@10.0.0.2>");
  CHECK(got == sip_text(expected));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.2:5080"));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30001"));
}

TEST_CASE("in-dialog requests of both sides follow; BYE closes media at once and the rest later") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  const std::string got_ack = world.out(phone, "203.0.113.2:5080", sip_text(ack));
  CHECK(got_ack == sip_text(with(with(ack, "UDP 10.0.0.2", "UDP 203.0.113.1"), "alice@10.0.0.2", "alice@203.0.113.1")));

  const std::string got_bye = world.delivered("203.0.113.2:5080", w, sip_text(bye_from_bob));
  CHECK(got_bye == sip_text(with(with(bye_from_bob, "sip:alice@203.0.113.1:5060", "sip:alice@10.0.0.2:5060"),
                                 "<sip:alice@203.0.113.1>", "<sip:alice@10.0.0.2>")));
  CHECK(world.door_of("10.0.0.2:4000"));
  const std::string got_ok = world.out(phone, "203.0.113.2:5080", sip_text(ok_to_bye));
  CHECK(got_ok == sip_text(with(ok_to_bye, "alice@10.0.0.2", "alice@203.0.113.1")));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of("10.0.0.2:4001"));
  CHECK_FALSE(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
  CHECK(world.door_of(phone));
  world.pass_time(33s);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().calls == 0);
  CHECK(world.kernel.closed_twice == 0);
}

TEST_CASE("a registered phone is reached through its door by its registrar alone") {
  World world;
  const std::string got = world.out(phone, provider, sip_text(registration));
  CHECK(got == sip_text(with(registration, "10.0.0.2", "203.0.113.1")));
  const std::string answer = world.delivered(provider, w, sip_text(ok_to_registration));
  std::string expected = with(ok_to_registration, "UDP 203.0.113.1;branch=z9hG4bKr1;received=203.0.113.1",
                              "UDP 10.0.0.2;branch=z9hG4bKr1;received=10.0.0.2");
  expected = with(expected, "alice@203.0.113.1>", "alice@10.0.0.2>");
  CHECK(answer == sip_text(expected));
  world.forget_flows();
  CHECK_FALSE(world.in("203.0.113.9:5060", w, sip_text(invite_from_bob)));
  const std::string call = world.delivered("203.0.113.2:5062", w, sip_text(invite_from_bob));
  CHECK(call == sip_text(with(invite_from_bob, "alice@203.0.113.1", "alice@10.0.0.2")));
  // granted 60 s, not the 600 that were asked
  world.pass_time(93s);
  CHECK(world.engine.registrations(world.now).empty());
}

TEST_CASE("an incoming call: the answer is mapped, media flows whoever sends first") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  world.delivered(provider, w, sip_text(invite_from_bob));
  const std::string got = world.out(phone, provider, sip_text(ok_from_alice));
  CHECK(got == sip_text(with(ok_from_alice, "10.0.0.2", "203.0.113.1")));
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
}

TEST_CASE("two phones with the same ports get different outside ports, and each its own back") {
  World world;
  world.out(phone, provider, sip_text(invite));
  const std::string second = with(with(with(invite, "10.0.0.2", "10.0.0.3"), "z9hG4bK1", "z9hG4bKx"), "call-1", "call-2");
  const std::string got = world.out("10.0.0.3:5060", provider, sip_text(second));
  CHECK_FALSE(got.find("UDP 203.0.113.1:61000") == std::string::npos);
  const auto media = world.door_of("10.0.0.3:4000");
  REQUIRE(media);
  CHECK(media->port != 4000);
  CHECK(media->port % 2 == 0);
  CHECK(got.find("m=audio " + std::to_string(media->port) + " ") != std::string::npos);
  CHECK(got.find("10.0.0.3") == got.find("10.0.0.3", got.find("Call-ID")));
}

TEST_CASE("with no NAT the same doors are pinholes and not one byte changes") {
  World::Setup setup;
  setup.nat = false;
  World world(setup);
  CHECK(world.out(phone, provider, sip_text(invite)) == sip_text(invite));
  CHECK(world.door_of("10.0.0.2:4000") == ep("10.0.0.2:4000"));
  const std::string answer = with(ok_to_invite, "203.0.113.1", "10.0.0.2");
  CHECK(world.delivered(provider, phone, sip_text(answer)) == sip_text(answer));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
}

TEST_CASE("a PBX that writes the outside address itself is left alone in both directions") {
  World world;
  const std::string own = with(invite, "10.0.0.2", "203.0.113.1");
  CHECK(world.out(phone, provider, sip_text(own)) == sip_text(own));
  CHECK(world.delivered(provider, w, sip_text(ok_to_invite)) == sip_text(ok_to_invite));
  CHECK(world.delivered(provider, w, sip_text(bye_from_bob)) == sip_text(bye_from_bob));
}
