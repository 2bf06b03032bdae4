// SPDX-License-Identifier: GPL-2.0-or-later
// The call database: many calls on one 5-tuple, one Call-ID from several hosts, forks, ends by message, time and hand.
#include <catch2/catch.hpp>

#include "alg/doors/door_table.h"
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
  CHECK(world.engine.standing().calls == 1000);
  hang_up(world, 500);
  CHECK_FALSE(world.door_of(inside(500)));
  CHECK(world.door_of(inside(499)));
  CHECK(world.door_of(inside(501)));
  // an attempt that fails, and one that is cancelled, touch nobody else
  world.out(phone, provider, sip_text(numbered(invite, 1500)));
  world.delivered(provider, w, sip_text(with(numbered(ok_to_invite, 1500), "200 OK", "486 Busy Here")));
  CHECK_FALSE(world.door_of(inside(1500)));
  CHECK(world.engine.totals().calls == 999);
  CHECK(world.engine.standing().calls == 999);
  for (int n = 0; n < 1000; ++n)
    if (n != 500) hang_up(world, n);
  world.pass_time(40s);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().doors == 0);
  CHECK(world.engine.totals().transactions == 0);
  CHECK(world.kernel.closed_twice == 0);
}

TEST_CASE("a transaction ends when its last response says, however late that came") {
  const auto info = with(with(ack, "ACK", "INFO"), "z9hG4bK2", "z9hG4bK7");
  const auto ok = with(with(with(with(ok_to_invite, "1 INVITE", "1 INFO"), "z9hG4bK1", "z9hG4bK7"), "<sip:alice@203.0.113.1>", "<sip:alice@10.0.0.2>"),
                       "Content-Type: application/sdp\n", "");
  for (const auto answered_after : {0ms, 3000ms, 4999ms, 5001ms, 7300ms, 12000ms, 31900ms}) {
    World world;
    begin(world, 1);
    world.pass_time(40s);
    REQUIRE(world.engine.totals().transactions == 0);
    world.out(phone, provider, sip_text(numbered(info, 1)));
    world.pass_time(answered_after);
    world.delivered(provider, w, sip_text(numbered(ok, 1)));
    world.pass_time(4999ms);
    CHECK(world.engine.totals().transactions == 1);
    world.pass_time(2ms);
    CHECK(world.engine.totals().transactions == 0);
  }
  for (const auto answered_after : {1s, 31s, 33s, 170s}) {
    World world;
    world.out(phone, provider, sip_text(numbered(invite, 1)));
    world.delivered(provider, w, sip_text(with(numbered(ok_to_invite, 1), "200 OK", "180 Ringing")));
    world.pass_time(answered_after);
    world.delivered(provider, w, sip_text(numbered(ok_to_invite, 1)));
    world.pass_time(31'999ms);
    CHECK(world.engine.totals().transactions == 1);
    world.pass_time(2ms);
    CHECK(world.engine.totals().transactions == 0);
  }
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

TEST_CASE("a call that is cleared while it rings: its responses still reach their sender as he wrote them") {
  World world;
  world.out(phone, provider, sip_text(numbered(invite, 1)));
  world.delivered(provider, w, sip_text(with(numbered(ok_to_invite, 1), "200 OK", "180 Ringing")));
  CHECK(world.engine.clear_call("", world.now) == 0);
  CHECK(world.engine.clear_calls(world.now) == 1);
  CHECK(world.doors() == 0);
  const std::string got = world.delivered(provider, w, sip_text(numbered(ok_to_invite, 1)));
  CHECK(got.find("Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1x1;received=10.0.0.2") != std::string::npos);
  CHECK(got.find("From: \"Alice\" <sip:alice@10.0.0.2>") != std::string::npos);
  world.out(phone, provider, sip_text(numbered(invite, 1)));  // a copy brings nothing back
  CHECK(world.engine.totals().calls == 0);
  CHECK(world.stats()[Event::calls_begun] == 1);
  CHECK(world.stats()[Event::calls_cleared] == 1);
  world.pass_time(40s);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().transactions == 0);
}

TEST_CASE("a call in that is cleared while it rings: the answer opens nothing and its SDP stays, the next re-INVITE is followed") {
  World world;
  world.forward(w, phone);
  world.delivered(provider, w, sip_text(invite_from_bob));
  world.out(phone, provider, sip_text(with(ok_from_alice, "200 OK", "183 Session Progress")));
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK(world.engine.clear_call("call-7", world.now) == 1);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  const std::string answer = world.out(phone, provider, sip_text(ok_from_alice));
  CHECK(answer.find("c=IN IP4 10.0.0.2\r\n") != std::string::npos);
  CHECK(answer.find("Contact: <sip:alice@203.0.113.1>") != std::string::npos);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.engine.totals().calls == 0);
  const auto in_dialog = [](const std::string& text) {
    return sip_text(with(with(with(text, "z9hG4bKi1", "z9hG4bKi2"), "CSeq: 1", "CSeq: 2"), "To: <sip:alice@example.net>\n", "To: <sip:alice@example.net>;tag=a7\n"));
  };
  world.delivered(provider, w, in_dialog(invite_from_bob));
  const std::string again = world.out(phone, provider, in_dialog(ok_from_alice));
  CHECK(again.find("c=IN IP4 203.0.113.1\r\n") != std::string::npos);
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK(world.engine.totals().calls == 1);
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

TEST_CASE("a host with all the doors it may have: a living one is had again, a new one is not") {
  FakeDoorKeeper kernel;
  Stats stats;
  DoorTable doors(kernel, stats);
  const auto claim = [&doors](uint16_t port) {
    DoorTable::MediaWish wish;
    wish.inside = {*parse_address("10.0.0.2"), port};
    wish.outside_address = *parse_address("203.0.113.1");
    wish.ports = 2;
    wish.with_rtcp = true;
    return doors.claim_media(wish, Instant{});
  };
  for (uint16_t n = 0; n < limits::doors_per_inside_host; n = static_cast<uint16_t>(n + 2)) REQUIRE(claim(static_cast<uint16_t>(10'000 + n)));
  CHECK(claim(10'000));
  CHECK(claim(9'000).error() == Reason::table_full);
}
