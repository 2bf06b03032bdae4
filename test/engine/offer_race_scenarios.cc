// SPDX-License-Identifier: GPL-2.0-or-later
// Offers that overlap, are given up late or answered early: each takes back what it brought, and nothing else.
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

std::string marked(const std::string& sdp, const char* attribute) { return sdp + "a=" + attribute + "\n"; }

// What `show call` says of the only one.
void check_session(const Stage& stage, std::string_view inside, std::string_view remote, bool held) {
  if (!stage.works()) return;
  auto calls = stage.world.engine.calls(stage.world.now);
  std::erase_if(calls, [](const report::Call& call) { return call.state == "ending"; });
  REQUIRE(calls.size() == 1);
  CHECK(calls.front().held == held);
  REQUIRE(calls.front().streams.size() == 1);
  CHECK(calls.front().streams.front().inside == ep(inside));
  CHECK(calls.front().streams.front().remote == ep(remote));
}

}  // namespace

TEST_CASE("scenario: both sides re-INVITE at once and get 491, in either order: the old session stays as it was") {
  play([](Stage& stage) {
    for (const bool ours_first : {true, false}) {
      Call call(stage, alice, bob, ours_first ? "ours" : "theirs");
      call.establish(offer, answer);
      Request one, other;
      const auto ours = [&] { one = call.send(true, "INVITE", {marked(offer, "sendonly")}); };
      const auto theirs = [&] { other = call.send(false, "INVITE", {audio("203.0.113.9", 33000)}); };
      const auto refuse = [&](const Request& invite) { call.ack_failure(invite, call.respond(invite, "491 Request Pending")); };
      if (ours_first) ours();
      theirs();
      if (!ours_first) ours();
      refuse(ours_first ? one : other);
      refuse(ours_first ? other : one);
      check_session(stage, "10.0.0.2:4000", "203.0.113.3:30000", false);
      stage.pass_time(40s);
      CHECK(is_open(stage));
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      CHECK(leads_nowhere(stage, "203.0.113.9:33000"));
      check_session(stage, "10.0.0.2:4000", "203.0.113.3:30000", false);
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: an UPDATE of ours is refused after theirs was answered: theirs stands") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "glare");
    call.establish(offer, answer);
    const Request ours = call.send(true, "UPDATE", {with(offer, "4000", "4040")});
    const Request theirs = call.send(false, "UPDATE", {audio("203.0.113.9", 33000)});
    call.respond(theirs, "200 OK", {offer});
    call.respond(ours, "491 Request Pending");
    check_session(stage, "10.0.0.2:4000", "203.0.113.9:33000", false);
    stage.pass_time(40s);
    CHECK(is_open(stage));
    CHECK(is_open(stage, "10.0.0.2:4001"));
    CHECK(is_closed(stage, "10.0.0.2:4040"));
    CHECK(leads_out(stage, "203.0.113.9:33000"));
    CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: an UPDATE of ours is answered after theirs: both hold") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "crossed");
    call.establish(offer, answer);
    const Request ours = call.send(true, "UPDATE", {with(offer, "4000", "4040")});
    const Request theirs = call.send(false, "UPDATE", {answer});
    call.respond(theirs, "200 OK", {offer});
    stage.pass_time(20s);
    call.respond(ours, "200 OK", {answer});
    stage.pass_time(40s);
    check_session(stage, "10.0.0.2:4040", "203.0.113.3:30000", false);
    CHECK(is_open(stage, "10.0.0.2:4041"));
    CHECK(is_closed(stage));
    call.hang_up(false);
  });
}

TEST_CASE("scenario: a re-INVITE with a 100 only is given up after a later hold was accepted: the call stays held, its doors open") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "given-up");
    call.establish(offer, answer);
    if (stage.works()) stage.world.kernel.with_flow.insert(*stage.world.door_of("10.0.0.2:4000"));
    const Request refresh = call.send(true, "INVITE", {offer});
    call.respond(refresh, "100 Trying");
    stage.pass_time(40s);
    call.cancel(refresh);
    stage.pass_time(33s);
    call.reinvite(true, marked(offer, "sendonly"), marked(answer, "recvonly"));
    stage.world.kernel.with_flow.clear();
    stage.pass_time(5min);
    CHECK(is_open(stage));
    CHECK(is_open(stage, "10.0.0.2:4001"));
    CHECK(leads_out(stage, "203.0.113.3:30000"));
    stage.pass_time(61min);
    CHECK(is_open(stage));
    check_session(stage, "10.0.0.2:4000", "203.0.113.3:30000", true);
    call.hang_up(true);
  });
}

TEST_CASE("scenario: the same offer refused twice closes its doors, also where it names ports that were replaced before") {
  play([](Stage& stage) {
    for (const char* method : {"INVITE", "UPDATE"}) {
      Call call(stage, alice, bob, method);
      call.establish(offer, answer);
      for (int n = 0; n < 2; ++n) {
        const Request again = call.send(true, method, {with(offer, "4000", "4040")});
        const std::string refusal = call.respond(again, "401 Unauthorized");
        if (again.method == "INVITE") call.ack_failure(again, refusal);
        stage.pass_time(10s);
      }
      stage.pass_time(30s);
      CHECK(is_open(stage));
      CHECK(is_closed(stage, "10.0.0.2:4040"));
      call.reinvite(true, with(offer, "4000", "4100"), answer);
      stage.pass_time(10s);
      call.refused_reinvite(true, offer, "488 Not Acceptable Here");
      stage.pass_time(40s);
      CHECK(is_open(stage, "10.0.0.2:4100"));
      CHECK(is_closed(stage));
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: a 1xx answers a re-INVITE, which is refused then: the old session stays; or taken without an SDP: the new one") {
  play([](Stage& stage) {
    for (const bool taken : {false, true}) {
      Call call(stage, alice, bob, taken ? "taken" : "refused");
      call.establish(offer, answer);
      const Request invite = call.send(true, "INVITE", {with(offer, "4000", "4040")});
      call.respond(invite, "183 Session Progress", {audio("203.0.113.9", 33000), reliable});
      CHECK(leads_out(stage, "203.0.113.9:33000"));
      call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
      stage.pass_time(40s);
      CHECK(is_open(stage));
      CHECK(is_open(stage, "10.0.0.2:4040"));
      if (taken) {
        call.respond(invite, "200 OK");
        call.ack();
      } else {
        call.ack_failure(invite, call.respond(invite, "488 Not Acceptable Here"));
      }
      stage.pass_time(40s);
      if (taken) {
        check_session(stage, "10.0.0.2:4040", "203.0.113.9:33000", false);
        CHECK(is_closed(stage));
        CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
      } else {
        check_session(stage, "10.0.0.2:4000", "203.0.113.3:30000", false);
        CHECK(is_closed(stage, "10.0.0.2:4040"));
        CHECK(leads_nowhere(stage, "203.0.113.9:33000"));
      }
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: an UPDATE moves the audio of an early dialog: 64*T1 after the call begins only the new doors are left") {
  play([](Stage& stage) {
    for (const bool repeated : {false, true}) {
      Call call(stage, alice, bob, repeated ? "repeated" : "plain");
      const Request invite = call.send(true, "INVITE", {offer});
      call.respond(invite, "183 Session Progress", {answer, reliable});
      call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
      call.transact(true, "UPDATE", {with(offer, "4000", "4040")}, {audio("203.0.113.3", 31000)});
      call.respond(invite, "200 OK", {repeated ? answer : ""});  // RFC 3261 section 13.2.1: ignored there
      call.ack();
      check_session(stage, "10.0.0.2:4040", "203.0.113.3:31000", false);
      CHECK(is_open(stage));
      stage.pass_time(40s);
      check_session(stage, "10.0.0.2:4040", "203.0.113.3:31000", false);
      for (const char* old : {"10.0.0.2:4000", "10.0.0.2:4001"}) CHECK(is_closed(stage, old));
      for (const char* fresh : {"10.0.0.2:4040", "10.0.0.2:4041"}) CHECK(is_open(stage, fresh));
      CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
      CHECK(leads_out(stage, "203.0.113.3:31000"));
      call.hang_up(false);
    }
  });
}

TEST_CASE("scenario: a called phone moves its audio before it answers") {
  play([](Stage& stage) {
    stage.lasts = true;
    Call call(stage, bob, alice, "moves");
    const Request invite = call.to(enroll(stage, alice, bob, 600).contact).send(true, "INVITE", {answer});
    call.respond(invite, "183 Session Progress", {offer, reliable});
    call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
    call.respond(call.send(true, "UPDATE", {audio("203.0.113.8", 31000)}), "488 Not Acceptable Here");
    call.transact(false, "UPDATE", {with(offer, "4000", "4040")}, {answer});
    call.respond(invite, "200 OK");
    call.ack();
    stage.pass_time(40s);
    check_session(stage, "10.0.0.2:4040", "203.0.113.3:30000", false);
    CHECK(is_closed(stage));
    CHECK(leads_nowhere(stage, "203.0.113.8:31000"));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: one branch accepts rtcp-mux and another one answers without: RTCP keeps its port") {
  play([](Stage& stage) {
    for (const bool both_mux : {false, true}) {
      Call call(stage, alice, bob, both_mux ? "muxed" : "apart");
      const Request invite = call.send(true, "INVITE", {marked(offer, "rtcp-mux")});
      call.respond(invite, "183 Session Progress", {marked(answer, "rtcp-mux")}, "b1");
      const std::string second = audio("203.0.113.4", 32000);
      call.respond(invite, "200 OK", {both_mux ? marked(second, "rtcp-mux") : second}, "b2");
      call.ack();
      stage.pass_time(40s);
      CHECK(is_open(stage));
      if (both_mux) {
        CHECK(is_closed(stage, "10.0.0.2:4001"));
      } else {
        CHECK(is_open(stage, "10.0.0.2:4001"));
      }
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: the PRACK with the answer is challenged: the second one answers too") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "prack");
    const Request invite = call.send(true, "INVITE");
    call.respond(invite, "183 Session Progress", {marked(answer, "rtcp-mux"), reliable});
    const Content answers{marked(offer, "rtcp-mux"), "RAck: 1 1 INVITE\n"};
    call.respond(call.send(true, "PRACK", answers), "401 Unauthorized");
    call.transact(true, "PRACK", answers);
    CHECK(is_closed(stage, "10.0.0.2:4001"));
    call.respond(invite, "200 OK");
    call.ack();
    stage.pass_time(40s);
    CHECK(is_open(stage));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: copies of an older ACK with an answer change nothing") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "late");
    Request first;
    for (const char* port : {"4000", "4040"}) {
      const Request invite = call.send(true, "INVITE");
      call.respond(invite, "200 OK", {answer});
      const Request ack = call.ack({with(offer, "4000", port)});
      if (first.written.empty()) first = ack;
    }
    if (!stage.works()) return;
    stage.out("10.0.0.2:5060", "203.0.113.2:5060", first.written);
    stage.pass_time(40s);
    check_session(stage, "10.0.0.2:4040", "203.0.113.3:30000", false);
    CHECK(is_open(stage, "10.0.0.2:4040"));
    CHECK(is_closed(stage));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: forty branches with audio and video, and the one that answers has its ways out") {
  play_sampled({}, [](Stage& stage) {
    stage.sends_again = false;
    Call call(stage, alice, bob, "forty");
    const Request invite = call.send(true, "INVITE", {audio_and_video("10.0.0.2", 4000, 4002)});
    for (int n = 0; n < 40; ++n)
      call.respond(invite, "183 Session Progress", {audio_and_video("203.0.113.3", 30000 + 10 * n, 30002 + 10 * n)}, "b" + std::to_string(n));
    call.respond(invite, "200 OK", {audio_and_video("203.0.113.3", 40000, 40002)}, "last");
    call.ack();
    CHECK(leads_out(stage, "203.0.113.3:40000"));
    CHECK(leads_out(stage, "203.0.113.3:40002"));
    call.hang_up(true);
  }, 8);
}

TEST_CASE("scenario: held, and both sides resume at once, each refused with 491: the call stays held for its 24 h") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "hold-cut");
    call.establish(offer, answer);
    call.reinvite(true, marked(offer, "inactive"), marked(answer, "inactive"));
    const Request ours = call.send(true, "INVITE", {offer}), theirs = call.send(false, "INVITE", {answer});
    call.ack_failure(ours, call.respond(ours, "491 Request Pending"));
    call.ack_failure(theirs, call.respond(theirs, "491 Request Pending"));
    stage.pass_time(20h);
    CHECK(is_open(stage));
    check_session(stage, "10.0.0.2:4000", "203.0.113.3:30000", true);
    call.hang_up(true);
  });
}

TEST_CASE("scenario: the audio moves twice within seconds: each time the old doors close 64*T1 later") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "moves-twice");
    call.establish(offer, answer);
    call.transact(true, "UPDATE", {with(offer, "4000", "4040")}, {answer});
    stage.pass_time(3s);
    call.transact(true, "UPDATE", {with(offer, "4000", "4100")}, {answer});
    stage.pass_time(28s);
    CHECK(is_open(stage));
    stage.pass_time(2s);
    CHECK(is_closed(stage));
    CHECK(is_open(stage, "10.0.0.2:4040"));
    stage.pass_time(3s);
    CHECK(is_closed(stage, "10.0.0.2:4040"));
    CHECK(is_open(stage, "10.0.0.2:4100"));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: copies of the ACKs of two lines, one of which has moved since: the other one keeps its doors") {
  play_sampled({}, [](Stage& stage) {
    stage.lasts = true;
    const Party other_branch{.user = "bob2", .agent = bob.agent};
    Call one(stage, bob, alice, "lines"), two(stage, other_branch, second_line, "lines");
    one.callee_tag = "l1";
    two.callee_tag = "l2";
    const Request first = one.to(enroll(stage, alice, bob, 600, "reg-1").contact).send(true, "INVITE");
    const Request second = two.to(enroll(stage, second_line, bob, 600, "reg-2").contact).send(true, "INVITE");
    one.respond(first, "200 OK", {offer});
    const Request ack_one = one.ack({answer});
    two.respond(second, "200 OK", {with(offer, "4000", "4100")});
    const Request ack_two = two.ack({answer});
    one.reinvite(false, with(offer, "4000", "4040"), answer);
    if (!stage.works()) return;
    for (const Request* ack : {&ack_one, &ack_two}) stage.in("203.0.113.2:5060", "203.0.113.1:506" + std::string(ack == &ack_one ? "0" : "2"), ack->sent);
    stage.pass_time(40s);
    for (const char* inside : {"10.0.0.2:4040", "10.0.0.2:4041", "10.0.0.2:4100", "10.0.0.2:4101"}) CHECK(is_open(stage, inside));
    CHECK(is_closed(stage));
    one.hang_up(true);
    two.hang_up(true);
  }, 12);
}

TEST_CASE("scenario: one of two branches hung up: what the other one offers then opens no way out to it") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "one-left");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "200 OK", {answer}, "b1");
    call.ack();
    Call other = call;
    call.respond(invite, "200 OK", {audio("203.0.113.4", 32000)}, "b2");
    other.callee_tag = "b2";
    other.ack();
    other.hang_up(true);
    CHECK(leads_nowhere(stage, "203.0.113.4:32000"));
    call.reinvite(true, with(offer, "4000", "4040"), answer);
    CHECK(leads_nowhere(stage, "203.0.113.4:32000"));
    CHECK(is_open(stage, "10.0.0.2:4040"));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: rtcp-mux is given up by a re-INVITE that a 183 answers: RTCP keeps its door") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "unmuxed-early");
    call.establish(offer + "a=rtcp-mux\n", answer + "a=rtcp-mux\n");
    stage.world.kernel.with_flow.insert(ep("203.0.113.1:4000"));
    stage.pass_time(40s);
    CHECK(is_closed(stage, "10.0.0.2:4001"));
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "183 Session Progress", {answer});
    if (!call.respond(invite, "200 OK", {answer}).empty()) call.ack();
    stage.pass_time(40s);
    CHECK(is_open(stage));
    CHECK(is_open(stage, "10.0.0.2:4001"));
    call.hang_up(true);
  });
}
