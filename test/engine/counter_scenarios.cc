// SPDX-License-Identifier: GPL-2.0-or-later
// What is counted of whole calls: each call begins once and ends once, a subscription is no call, each SDP counts once.
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

struct Counted {
  uint64_t begun = 0, by_message = 0, by_time = 0, cleared = 0;
  friend bool operator==(const Counted&, const Counted&) = default;
};
void check_counted(const Stage& stage, const Counted& expected) {
  if (!stage.works()) return;
  const Stats stats = stage.world.stats();
  CHECK(stats[Event::calls_begun] == expected.begun + stage.strangers());
  CHECK(stats[Event::calls_ended_by_message] == expected.by_message);
  CHECK(stats[Event::calls_ended_by_time] == expected.by_time);
  CHECK(stats[Event::calls_cleared] == expected.cleared + stage.strangers());
}

}  // namespace

TEST_CASE("scenario: a challenged call is counted once as begun and once as ended") {
  play([](Stage& stage) {
    for (const uint64_t n : {0U, 1U}) {
      Call call(stage, alice, bob, n == 0 ? "challenged-401" : "challenged-407");
      const Request invite = call.send(true, "INVITE", {offer});
      call.ack_failure(invite, call.respond(invite, n == 0 ? "401 Unauthorized" : "407 Proxy Authentication Required"));
      check_counted(stage, {.begun = n + 1, .by_message = n});
      call.establish(offer, answer);
      check_counted(stage, {.begun = n + 1, .by_message = n});
      call.hang_up(n == 0);
      check_counted(stage, {.begun = n + 1, .by_message = n + 1});
    }
    Call given_up(stage, alice, bob, "given-up");
    const Request invite = given_up.send(true, "INVITE", {offer});
    given_up.ack_failure(invite, given_up.respond(invite, "407 Proxy Authentication Required"));
    check_counted(stage, {.begun = 3, .by_message = 2});
    stage.pass_time(40s);
    check_counted(stage, {.begun = 3, .by_message = 3});
  });
}

TEST_CASE("scenario: a refused, an unanswered and a cleared call, and a Call-ID that is used again, are counted once each") {
  play([](Stage& stage) {
    Call refused(stage, alice, bob, "refused"), silent(stage, alice, bob, "silent"), cleared(stage, alice, bob, "cleared");
    const Request invite = refused.send(true, "INVITE", {offer});
    refused.ack_failure(invite, refused.respond(invite, "486 Busy Here"));
    check_counted(stage, {.begun = 1, .by_message = 1});
    silent.send(true, "INVITE", {offer});
    stage.pass_time(75s);
    check_counted(stage, {.begun = 2, .by_message = 1, .by_time = 1});
    cleared.establish(offer, answer);
    stage.pass_time(5s);
    stage.world.engine.clear_calls(stage.world.now);
    check_counted(stage, {.begun = 3, .by_message = 1, .by_time = 1, .cleared = 1});
    Call again(stage, alice, bob, "again");
    again.establish(offer, answer);
    again.hang_up(true);
    Call same_call_id(stage, Party{.user = "alice2", .agent = alice.agent}, bob, "again");  // writes another branch
    same_call_id.callee_tag = "b2";
    same_call_id.establish(offer, answer);
    check_counted(stage, {.begun = 5, .by_message = 2, .by_time = 1, .cleared = 1});
    same_call_id.hang_up(false);
    check_counted(stage, {.begun = 5, .by_message = 3, .by_time = 1, .cleared = 1});
  });
}

TEST_CASE("scenario: a subscription is no call: not counted, not listed, not cleared with the calls") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "presence");
    call.transact(true, "SUBSCRIBE", {{}, "Event: presence\nExpires: 3600\n"}, {{}, "Expires: 3600\n"});
    check_counted(stage, {});
    CHECK(stage.world.engine.calls(stage.world.now).empty());
    if (stage.works()) CHECK(stage.world.engine.totals().subscriptions == 1);
    CHECK(stage.world.engine.clear_calls(stage.world.now) == 0);
    call.transact(false, "NOTIFY", {{}, "Event: presence\nSubscription-State: active;expires=3600\n"});
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:5060"));
    stage.pass_time(5s);
    if (stage.works()) CHECK(stage.world.engine.clear_call("presence", stage.world.now) == 1);
    check_counted(stage, {});
  });
}

TEST_CASE("scenario: a call whose dialog goes on as a subscription has ended with its BYE") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "kpml");
    call.establish(offer, answer);
    call.transact(false, "SUBSCRIBE", {{}, "Event: kpml\nExpires: 600\n"}, {{}, "Expires: 600\n"});
    if (stage.works()) CHECK(stage.world.engine.calls(stage.world.now).size() == 1);
    call.hang_up(true);
    check_counted(stage, {.begun = 1, .by_message = 1});
    if (stage.works()) CHECK(stage.world.engine.calls(stage.world.now).empty());
    if (stage.works()) CHECK(stage.world.engine.totals().subscriptions == 1);
    call.transact(true, "NOTIFY", {{}, "Event: kpml\nSubscription-State: terminated\n"});
    check_counted(stage, {.begun = 1, .by_message = 1});
  });
}

TEST_CASE("media lines with port 0, address 0 or no sense are counted in both directions, copies are not") {
  World world;
  const auto line = [](const std::string& message, const std::string& from, const std::string& to) { return sip_text(with(message, from, to)); };
  for (int copy = 0; copy < 3; ++copy) {
    world.out(phone, provider, line(invite, "m=audio 4000", "m=audio 0"));
    world.delivered(provider, w, line(ok_to_invite, "m=audio 30000", "m=audio 0"));
  }
  CHECK(world.stats()[Event::media_port_zero] == 2);
  world.delivered(provider, w, line(with(ok_to_invite, "200 OK", "183 Session Progress"), "c=IN IP4 203.0.113.3", "c=IN IP4 0.0.0.0"));
  CHECK(world.stats()[Event::media_address_zero] == 1);
  world.out(phone, provider, line(with(invite, "call-1", "call-2"), "m=audio 4000", "m=audio 80"));
  CHECK(world.stats()[Event::media_unreadable] == 1);
  world.out(phone, provider, line(with(invite, "call-1", "call-3"), "m=audio 4000 RTP/AVP 0", "m=audio 4000 TCP/RTP/AVP 0\na=setup:active"));
  CHECK(world.stats()[Event::media_unreadable] == 1);  // it needs no door, that is all
}
