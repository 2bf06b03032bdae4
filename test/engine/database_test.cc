// SPDX-License-Identifier: GPL-2.0-or-later
// The call database: many calls on one 5-tuple, one Call-ID from several hosts, forks, ends by message, time and hand.
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

std::string numbered(const std::string& message, int n) {
  const std::string id = std::to_string(n), port = std::to_string(4000 + 2 * n);
  std::string out = with(with(message, "call-1", "call-" + id), "z9hG4bK", "z9hG4bK" + id + "x");
  out = with(with(out, "m=audio 4000", "m=audio " + port), "a=rtcp:4001 IN IP4 10.0.0.2\n", "");
  return with(with(out, "tag=a1", "tag=a" + id), "tag=b1", "tag=b" + id);
}

std::string inside(int n) { return "10.0.0.2:" + std::to_string(4000 + 2 * n); }

void begin(World& world, int n) {
  world.out(phone, provider, sip_text(numbered(invite, n)));
  world.delivered(provider, w, sip_text(numbered(ok_to_invite, n)));
  world.out(phone, provider, sip_text(numbered(ack, n)));
}

void hang_up(World& world, int n) {
  world.delivered(provider, w, sip_text(numbered(bye_from_bob, n)));
  world.out(phone, provider, sip_text(numbered(ok_to_bye, n)));
}

}  // namespace

TEST_CASE("a trunk: a thousand calls on one 5-tuple, each ends for itself, and afterwards nothing is left") {
  World world;
  for (int n = 0; n < 1000; ++n) begin(world, n);
  CHECK(world.engine.totals().calls == 1000);
  hang_up(world, 500);
  CHECK_FALSE(world.door_of(inside(500)));
  CHECK(world.door_of(inside(499)));
  CHECK(world.door_of(inside(501)));
  // an attempt that fails, and one that is cancelled, touch nobody else
  world.out(phone, provider, sip_text(numbered(invite, 1500)));
  world.delivered(provider, w, sip_text(with(numbered(ok_to_invite, 1500), "200 OK", "486 Busy Here")));
  CHECK_FALSE(world.door_of(inside(1500)));
  CHECK(world.engine.totals().calls == 999);
  for (int n = 0; n < 1000; ++n)
    if (n != 500) hang_up(world, n);
  world.pass_time(40s);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().doors == 0);
  CHECK(world.engine.totals().transactions == 0);
  CHECK(world.kernel.closed_twice == 0);
}

TEST_CASE("two hosts with one Call-ID and one From tag: both calls work and end apart") {
  World world;
  const auto other = [](const std::string& text) { return with(with(text, "UDP 10.0.0.2", "UDP 10.0.0.3"), "IN IP4 10.0.0.2", "IN IP4 10.0.0.3"); };
  world.out(phone, provider, sip_text(invite));
  world.out("10.0.0.3:5060", provider, sip_text(other(invite)));
  CHECK(world.engine.totals().calls == 2);
  CHECK(world.door_of("10.0.0.2:4000"));
  const auto second = world.door_of("10.0.0.3:4000");
  REQUIRE(second);
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.delivered(provider, w, sip_text(bye_from_bob));
  world.out(phone, provider, sip_text(ok_to_bye));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.door_of("10.0.0.3:4000") == second);
}

TEST_CASE("an INVITE forked by a proxy to two phones behind us: the 487 of one leaves the other's call") {
  World world;
  const auto to_second = [](const std::string& text) { return with(with(with(text, "10.0.0.2", "10.0.0.3"), "z9hG4bKi1", "z9hG4bKi2"), "tag=a7", "tag=a8"); };
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  const std::string second_registration = with(with(with(registration, "10.0.0.2", "10.0.0.3"), "reg-1", "reg-2"), "z9hG4bKr1", "z9hG4bKr2");
  const std::string registered = world.out("10.0.0.3:5060", provider, sip_text(second_registration));
  const auto door = world.door_of("10.0.0.3:5060");
  REQUIRE(door);
  const std::string outside = to_string(*door);
  world.delivered(provider, w, sip_text(invite_from_bob));
  world.delivered(provider, outside, sip_text(with(invite_from_bob, "z9hG4bKi1", "z9hG4bKi2")));
  world.out(phone, provider, sip_text(with(ok_from_alice, "200 OK", "180 Ringing")));
  world.out("10.0.0.3:5060", provider, sip_text(with(to_second(ok_from_alice), "200 OK", "183 Session Progress")));
  world.out("10.0.0.3:5060", provider, sip_text(with(to_second(ok_from_alice), "200 OK", "487 Request Terminated")));
  CHECK_FALSE(world.door_of("10.0.0.3:4000"));
  world.out(phone, provider, sip_text(ok_from_alice));
  CHECK(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("clear call, calls and registrations close the doors at once") {
  World world;
  begin(world, 1);
  begin(world, 2);
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  CHECK(world.engine.clear_call("nobody", world.now) == 0);
  CHECK(world.engine.clear_call("call-1@10.0.0.2", world.now) == 1);
  CHECK_FALSE(world.door_of(inside(1)));
  CHECK(world.door_of(inside(2)));
  CHECK(world.engine.clear_calls(world.now) == 1);
  CHECK_FALSE(world.door_of(inside(2)));
  CHECK(world.engine.clear_registrations(world.now) == 1);
  world.pass_time(40s);
  CHECK(world.doors() == 0);
  CHECK(world.kernel.closed_twice == 0);
}

TEST_CASE("Session-Expires counts as negotiated in the last 2xx") {
  World world;
  world.out(phone, provider, sip_text(with(invite, "Max-Forwards", "Session-Expires: 7200\nMax-Forwards")));
  world.delivered(provider, w, sip_text(with(ok_to_invite, "CSeq:", "Session-Expires: 300;refresher=uac\nCSeq:")));
  world.pass_time(331s);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(5s);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("an attempt that nobody answers ends after 64*T1, one that rings after its Expires or 180 s") {
  World silent;
  silent.out(phone, provider, sip_text(invite));
  silent.pass_time(33s);
  CHECK_FALSE(silent.door_of("10.0.0.2:4000"));
  World ringing;
  ringing.out(phone, provider, sip_text(invite));
  ringing.delivered(provider, w, sip_text(with(ok_to_invite, "200 OK", "183 Session Progress")));
  ringing.pass_time(170s);
  CHECK(ringing.door_of("10.0.0.2:4000"));
  ringing.pass_time(20s);
  CHECK_FALSE(ringing.door_of("10.0.0.2:4000"));
  ringing.pass_time(60s);
  CHECK(ringing.doors() == 0);
}

TEST_CASE("SUBSCRIBE: the dialog's doors last as long as the subscription; NOTIFY may come first") {
  World world;
  const std::string subscribe = with(with(invite.substr(0, invite.find("Subject")), "INVITE", "SUBSCRIBE"), "Max-Forwards", "Event: presence\nExpires: 600\nMax-Forwards") + "Content-Length: 0\n\n";
  world.out(phone, provider, sip_text(subscribe));
  const std::string notify = with(with(bye_from_bob, "BYE", "NOTIFY"), "Content-Length", "Event: presence\nSubscription-State: active;expires=600\nContent-Length");
  const std::string got = world.delivered(provider, w, sip_text(notify));
  CHECK(got.find("NOTIFY sip:alice@10.0.0.2:5060;ob") != std::string::npos);
  world.pass_time(500s);
  CHECK(world.door_of(phone) == ep(w));
  world.pass_time(200s);
  CHECK_FALSE(world.door_of(phone));
  CHECK(world.doors() == 0);
}
