// SPDX-License-Identifier: GPL-2.0-or-later
// Ordinary calls: both directions, both families, many at once, the same Call-ID twice.
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

const Party alice6{.user = "alice", .agent = "[fd00::2]:5060"};
const Party bob6{.user = "bob", .agent = "[2001:db8::2]:5060"};

void call_out_twice(Stage& stage, const Party& caller, const Party& callee, const std::string& sdp, const std::string& other_sdp) {
  for (const bool by_caller : {true, false}) {
    Call call(stage, caller, callee, by_caller ? "out-1" : "out-2");
    call.establish(sdp, other_sdp);
    call.hang_up(by_caller);
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 0);
  }
}

void call_in_twice(Stage& stage, const Party& callee, const Party& caller, const std::string& sdp, const std::string& other_sdp) {
  const Enrolled enrolled = enroll(stage, callee, caller, 600);
  stage.lasts = true;
  for (const bool by_caller : {true, false}) {
    Call call(stage, caller, callee, by_caller ? "in-1" : "in-2");
    call.to(enrolled.contact).establish(other_sdp, sdp);
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 1);
    call.hang_up(by_caller);
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 0);
  }
}

const World::Setup without_nat{.nat = false};

}  // namespace

TEST_CASE("scenario: a call out, hung up by either side") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "out");
    call.establish(offer, answer);
    if (stage.works()) {
      CHECK(stage.world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
      CHECK(stage.world.door_of("10.0.0.2:4001") == ep("203.0.113.1:4001"));
      CHECK(stage.world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
      CHECK(stage.world.has_way_out("10.0.0.2", "203.0.113.3:30001"));
    }
    call.hang_up(false);
    CHECK_FALSE((stage.works() && stage.world.door_of("10.0.0.2:4000")));
    call_out_twice(stage, alice, bob, offer, answer);
  });
}

TEST_CASE("scenario: a call in to a registered phone, hung up by either side") {
  play([](Stage& stage) { call_in_twice(stage, alice, bob, offer, answer); });
}

TEST_CASE("scenario: without NAT, both directions") {
  play(without_nat, [](Stage& stage) {
    call_out_twice(stage, alice, bob, offer, answer);
    call_in_twice(stage, alice, bob, offer, answer);
  });
}

TEST_CASE("scenario: IPv6 without NAT, both directions") {
  play(without_nat, [](Stage& stage) {
    call_out_twice(stage, alice6, bob6, audio("fd00::2", 4000), audio("2001:db8::3", 30000));
    call_in_twice(stage, alice6, bob6, audio("fd00::2", 4000), audio("2001:db8::3", 30000));
  });
}

TEST_CASE("scenario: IPv6 behind masquerade, both directions") {
  play([](Stage& stage) {
    call_out_twice(stage, alice6, bob6, audio("fd00::2", 4000), audio("2001:db8::3", 30000));
    call_in_twice(stage, alice6, bob6, audio("fd00::2", 4000), audio("2001:db8::3", 30000));
  });
}

TEST_CASE("scenario: doors for further signalling peers, and for everybody") {
  play({.signalling_peers = {"198.51.100.0/24", "192.0.2.7"}}, [](Stage& stage) { call_in_twice(stage, alice, bob, offer, answer); });
  play({.any_source = true}, [](Stage& stage) { call_in_twice(stage, alice, bob, offer, answer); });
}

TEST_CASE("scenario: a PBX behind a DNAT rule is called, and calls with the SDP of its phones") {
  play([](Stage& stage) {
    const Party pbx{.user = "pbx", .agent = "10.0.0.10:5060"};
    stage.world.forward("203.0.113.1:5060", pbx.agent);
    Call in(stage, bob, pbx, "to-pbx"), out(stage, pbx, bob, "from-pbx");
    in.to("sip:pbx@203.0.113.1");
    in.establish(answer, audio("10.0.0.3", 4000));
    out.establish(audio("10.0.0.4", 4000), audio("203.0.113.3", 30010));
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.3:4000"));
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.4:4000"));
    in.hang_up(true);
    out.hang_up(false);
  });
}

TEST_CASE("scenario: two phones with the same ports, each has its own doors and its own text back") {
  play([](Stage& stage) {
    Call first(stage, alice, bob, "first"), second(stage, carol, bob, "second");
    first.establish(offer, answer);
    second.establish(audio("10.0.0.3", 4000), audio("203.0.113.3", 30010));
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.3:4000") != ep("203.0.113.1:4000"));
    first.hang_up(true);
    CHECK_FALSE((stage.works() && !stage.world.door_of("10.0.0.3:4000")));
    second.hang_up(false);
  });
}

TEST_CASE("scenario: CANCEL, 487 and its ACK; afterwards the same phone calls again") {
  play([](Stage& stage) {
    for (const char* id : {"first", "again"}) {
      Call call(stage, alice, bob, id);
      const Request invite = call.send(true, "INVITE", {offer});
      call.respond(invite, "100 Trying");
      call.respond(invite, "180 Ringing");
      call.respond(call.cancel(invite), "200 OK");
      call.ack_failure(invite, call.respond(invite, "487 Request Terminated"));
      CHECK_FALSE((stage.works() && stage.world.door_of("10.0.0.2:4000")));
    }
  });
}

TEST_CASE("scenario: a call in that is cancelled, and one that is refused") {
  play([](Stage& stage) {
    const Enrolled enrolled = enroll(stage, alice, bob, 600);
    stage.lasts = true;
    Call cancelled(stage, bob, alice, "cancelled"), refused(stage, bob, alice, "refused");
    const Request invite = cancelled.to(enrolled.contact).send(true, "INVITE", {answer});
    cancelled.respond(invite, "183 Session Progress", {offer});
    cancelled.respond(cancelled.cancel(invite), "200 OK");
    cancelled.ack_failure(invite, cancelled.respond(invite, "487 Request Terminated"));
    CHECK_FALSE((stage.works() && stage.world.door_of("10.0.0.2:4000")));
    const Request second = refused.to(enrolled.contact).send(true, "INVITE", {answer});
    refused.ack_failure(second, refused.respond(second, "486 Busy Here"));
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 0);
  });
}

TEST_CASE("scenario: a message that would outgrow the way out passes unchanged, and the doors it opened are closed") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "too-big");
    stage.world.most_bytes = 200;
    const Request invite = call.send(true, "INVITE", {offer});
    CHECK(invite.arrived == invite.sent);
    CHECK(stage.world.doors() == 0);
    CHECK(enroll(stage, alice, bob, 60).contact == "sip:alice@10.0.0.2:5060");
    CHECK(stage.world.engine.totals().doors == 0);
    stage.world.most_bytes = 65'507;
    call.respond(invite, "180 Ringing");
    call.ack_failure(invite, call.respond(invite, "486 Busy Here"));
    // in a call that is up, its own doors stay
    Call talking(stage, alice, bob, "talking");
    talking.establish(offer, answer);
    stage.pass_time(5s);  // nobody repeats the ACK any more
    stage.world.most_bytes = 200;
    const Request again = talking.send(true, "INVITE", {audio("10.0.0.2", 4100)});
    CHECK(again.arrived == again.sent);
    stage.world.most_bytes = 65'507;
    talking.respond(again, "200 OK", {answer});
    talking.ack();
    if (stage.works()) {
      CHECK(stage.world.door_of("10.0.0.2:4000"));
      CHECK_FALSE(stage.world.door_of("10.0.0.2:4100"));
    }
    talking.hang_up(true);
  });
}

TEST_CASE("scenario: a trunk of many calls on one 5-tuple, with BYE, CANCEL, 487 and 486 between them") {
  play_sampled({}, [](Stage& stage) {
    stage.sends_again = false;
    const Party pbx{.user = "pbx", .agent = "10.0.0.2:5060"};
    std::vector<Call> calls;
    for (int n = 0; n < 24; ++n) calls.emplace_back(stage, pbx, bob, "trunk-" + std::to_string(n));
    for (int n = 0; n < 24; ++n) {
      Call& call = calls[static_cast<std::size_t>(n)];
      const Request invite = call.send(true, "INVITE", {audio("10.0.0.2", 4000 + 2 * n)});
      if (n % 4 == 1) call.ack_failure(invite, call.respond(invite, "486 Busy Here"));
      if (n % 4 == 2) call.respond(call.cancel(invite), "200 OK"), call.ack_failure(invite, call.respond(invite, "487 Request Terminated"));
      if (n % 4 == 0 || n % 4 == 3) call.respond(invite, "200 OK", {audio("203.0.113.3", 30000 + 2 * n)}), call.ack();
      if (n % 8 == 7) calls[static_cast<std::size_t>(n - 4)].hang_up(n % 16 == 7);
    }
    for (int n = 0; n < 24; ++n) {
      const bool is_up = n % 4 == 0 || (n % 4 == 3 && n % 8 != 3);
      INFO("call " << n);
      if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:" + std::to_string(4000 + 2 * n)).has_value() == is_up);
      if (is_up) calls[static_cast<std::size_t>(n)].hang_up(n % 2 == 0);
    }
  }, 60);
}

TEST_CASE("scenario: one Call-ID from two clients, and one From tag as well: both work and end apart") {
  play([](Stage& stage) {
    for (const bool same_tag : {false, true}) {
      const std::string id = same_tag ? "same-tag" : "same-id";
      Call first(stage, alice, bob, id), second(stage, carol, bob, id);
      if (!same_tag) second.caller_tag = "c";
      first.establish(offer, answer);
      second.establish(audio("10.0.0.3", 4000), audio("203.0.113.3", 30010));
      first.hang_up(false);
      if (stage.works()) {
        CHECK_FALSE(stage.world.door_of("10.0.0.2:4000"));
        CHECK(stage.world.door_of("10.0.0.3:4000"));
      }
      second.hang_up(true);
    }
  });
}

TEST_CASE("scenario: one Call-ID from two clients of one host: both work and end apart") {
  play([](Stage& stage) {
    Call first(stage, alice, bob, "one-host"), second(stage, second_line, Party{.user = "dave", .agent = "203.0.113.2:5060"}, "one-host");
    second.caller_tag = "c";
    first.establish(offer, answer);
    second.establish(audio("10.0.0.2", 4100), audio("203.0.113.3", 30010));
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 2);
    first.hang_up(false);
    CHECK(is_closed(stage, "10.0.0.2:4000"));
    CHECK(is_open(stage, "10.0.0.2:4100"));
    second.hang_up(true);
    CHECK(is_closed(stage, "10.0.0.2:4100"));
  });
}

TEST_CASE("scenario: an INVITE forked to two phones behind us: the 487 of one leaves the other's call") {
  play([](Stage& stage) {
    stage.lasts = true;
    const Enrolled at_alice = enroll(stage, alice, bob, 600, "reg-a"), at_carol = enroll(stage, carol, bob, 600, "reg-c");
    Party branch = bob;
    branch.user = "bob2";  // another branch
    Call one(stage, bob, alice, "forked"), two(stage, branch, carol, "forked");
    two.callee_tag = "c";
    const Request first = one.to(at_alice.contact).send(true, "INVITE", {answer});
    const Request second = two.to(at_carol.contact).send(true, "INVITE", {answer});
    one.respond(first, "180 Ringing");
    two.respond(second, "183 Session Progress", {audio("10.0.0.3", 4000)});
    one.respond(first, "200 OK", {offer});
    two.respond(two.cancel(second), "200 OK");
    two.ack_failure(second, two.respond(second, "487 Request Terminated"));
    one.ack();
    if (stage.works()) {
      CHECK(stage.world.door_of("10.0.0.2:4000"));
      CHECK_FALSE(stage.world.door_of("10.0.0.3:4000"));
    }
    one.hang_up(false);
  });
}

TEST_CASE("scenario: conntrack -F while 50 calls are up: every record is kept, BYE of either side finds its way") {
  play_sampled({}, [](Stage& stage) {
    stage.sends_again = false;
    std::vector<Call> calls;
    for (int n = 0; n < 50; ++n) {
      calls.emplace_back(stage, n % 2 == 0 ? alice : carol, bob, "flushed-" + std::to_string(n));
      calls.back().establish(audio(n % 2 == 0 ? "10.0.0.2" : "10.0.0.3", 4000 + 2 * n), audio("203.0.113.3", 30000 + 2 * n));
    }
    const std::size_t doors = stage.world.doors();
    stage.world.forget_flows();
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 50);
    for (int n = 0; n < 10; ++n) {
      const std::string ours = audio(n % 2 == 0 ? "10.0.0.2" : "10.0.0.3", 4000 + 2 * n), theirs = audio("203.0.113.3", 30000 + 2 * n);
      calls[static_cast<std::size_t>(n)].reinvite(n % 2 == 0, n % 2 == 0 ? ours : theirs, n % 2 == 0 ? theirs : ours);
    }
    if (stage.works()) CHECK(stage.world.doors() == doors);
    for (std::size_t n = 0; n < calls.size(); ++n) calls[n].hang_up(n % 3 == 0);
  }, 20);
}

TEST_CASE("ten thousand calls one after another: the tables are back at the start") {
  World::Setup setup;
  setup.second_opinion = false;
  Stage stage(setup, {});
  stage.sends_again = false;
  for (int n = 0; n < 10'000; ++n) {
    Call call(stage, alice, bob, "n" + std::to_string(n));
    call.establish(audio("10.0.0.2", 4000 + 2 * (n % 500)), answer);
    call.hang_up(n % 2 == 0);
    if (n % 100 == 99) stage.pass_time(10s);
  }
  CHECK(stage.world.stats()[Event::calls_begun] == 10'000);
  CHECK(stage.world.stats()[Event::calls_ended_by_message] == 10'000);
  stage.finish();
}

TEST_CASE("scenario: a second call with the Call-ID and the tags of one that hung up seconds ago is a call") {
  play([](Stage& stage) {
    Call first(stage, alice, bob, "again");
    first.establish(offer, answer);
    first.hang_up(true);
    stage.pass_time(5s);
    Party same_phone = alice;
    same_phone.user = "alice2";  // writes other branches
    Call second(stage, same_phone, bob, "again");
    second.establish(offer, answer);
    CHECK(is_open(stage));
    CHECK(leads_out(stage, "203.0.113.3:30000"));
    stage.pass_time(40s);
    CHECK(is_open(stage));
    if (stage.works()) {
      const auto calls = stage.world.engine.calls(stage.world.now);
      REQUIRE(calls.size() == 1);
      CHECK(calls.front().state == "confirmed");
    }
    second.hang_up(false);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: calls and registrations that an administrator clears close their doors, another call keeps its own") {
  play([](Stage& stage) {
    const Enrolled phone = enroll(stage, alice, bob, 3600);
    Call cleared(stage, alice, bob, "cleared");
    cleared.establish(offer, answer);
    Party other_phone = alice;
    other_phone.user = "alice2";  // writes other branches
    Call kept(stage, other_phone, bob, "kept");
    kept.establish(audio("10.0.0.2", 4040), answer);
    stage.pass_time(40s);  // nothing is repeated any more
    stage.world.engine.clear_call("cleared", stage.world.now);
    CHECK_FALSE(stage.world.door_of("10.0.0.2:4000"));
    CHECK_FALSE(stage.world.door_of("10.0.0.2:4001"));
    if (stage.works()) {
      CHECK(stage.world.door_of("10.0.0.2:4040"));
      CHECK(stage.world.door_of("10.0.0.2:5060"));
    }
    stage.world.engine.clear_calls(stage.world.now);
    CHECK_FALSE(stage.world.door_of("10.0.0.2:4040"));
    stage.world.engine.clear_registrations(stage.world.now);
    CHECK(stage.world.engine.registrations(stage.world.now).empty());
    stage.pass_time(60s);
    CHECK_FALSE(stage.world.door_of("10.0.0.2:5060"));
  });
}
