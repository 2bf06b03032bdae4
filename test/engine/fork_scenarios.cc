// SPDX-License-Identifier: GPL-2.0-or-later
// One call, several branches: doors belong to the attempt and the dialog that asked for them (sip-rules section 4).
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

const Party bobs_other_branch{.user = "bob2", .agent = "203.0.113.2:5060"};  // of the same INVITE

report::Call shown(Stage& stage) {
  const auto calls = stage.world.engine.calls(stage.world.now);
  REQUIRE(calls.size() == 1);
  return calls.front();
}

// An adapter with two lines at one address; a proxy forks one INVITE to both.
struct TwoLines {
  explicit TwoLines(Stage& stage)
      : one(stage, bob, alice, "two-lines"), two(stage, bobs_other_branch, second_line, "two-lines") {
    stage.lasts = true;
    one.callee_tag = "l1";
    two.callee_tag = "l2";
    first = one.to(enroll(stage, alice, bob, 600, "reg-1").contact).send(true, "INVITE", {answer});
    second = two.to(enroll(stage, second_line, bob, 600, "reg-2").contact).send(true, "INVITE", {answer});
  }
  void cancel_first() {
    one.respond(one.cancel(first), "200 OK");
    one.ack_failure(first, one.respond(first, "487 Request Terminated"));
  }
  Call one, two;
  Request first, second;
};
const std::string of_first = audio("10.0.0.2", 4000), of_second = audio_and_video("10.0.0.2", 4100, 4102);

}  // namespace

TEST_CASE("scenario: an INVITE forked to two lines of one host: the 487 of one closes its doors and leaves the other's call") {
  play([](Stage& stage) {
    TwoLines lines(stage);
    lines.one.respond(lines.first, "183 Session Progress", {of_first});
    lines.two.respond(lines.second, "183 Session Progress", {of_second});
    CHECK(is_open(stage, "10.0.0.2:4000"));
    CHECK(is_open(stage, "10.0.0.2:4100"));
    lines.two.respond(lines.second, "200 OK", {of_second});
    lines.cancel_first();
    lines.two.ack();
    for (const char* inside : {"10.0.0.2:4000", "10.0.0.2:4001"}) CHECK(is_closed(stage, inside));
    for (const char* inside : {"10.0.0.2:4100", "10.0.0.2:4101", "10.0.0.2:4102"}) CHECK(is_open(stage, inside));
    if (stage.works()) {
      const report::Call call = shown(stage);
      CHECK(call.state == "confirmed");
      CHECK(call.inside_tag == "l2");
      REQUIRE(call.streams.size() == 2);
      CHECK(call.streams[0].inside == ep("10.0.0.2:4100"));
      CHECK(call.streams[0].remote == ep("203.0.113.3:30000"));
      CHECK(call.streams[1].inside == ep("10.0.0.2:4102"));
    }
    stage.pass_time(40s);
    CHECK(is_open(stage, "10.0.0.2:4100"));
    lines.two.reinvite(true, answer, of_second);
    lines.two.hang_up(false);
    CHECK(is_closed(stage, "10.0.0.2:4100"));
  });
}

TEST_CASE("scenario: an INVITE forked to two lines of one host: one is refused while the other rings on, and answers") {
  play([](Stage& stage) {
    TwoLines lines(stage);
    lines.one.respond(lines.first, "183 Session Progress", {of_first});
    lines.two.respond(lines.second, "183 Session Progress", {of_second});
    lines.one.ack_failure(lines.first, lines.one.respond(lines.first, "486 Busy Here"));
    CHECK(is_closed(stage, "10.0.0.2:4000"));
    CHECK(is_open(stage, "10.0.0.2:4100"));
    if (stage.works()) CHECK(shown(stage).state == "early");
    lines.two.respond(lines.second, "200 OK", {of_second});
    lines.two.ack();
    CHECK(is_open(stage, "10.0.0.2:4100"));
    lines.two.hang_up(true);
    if (stage.works()) CHECK(stage.world.engine.totals().calls == 0);
  });
}

TEST_CASE("scenario: an inside proxy forks one INVITE to two providers: the refusal of one leaves the offer's doors to the other") {
  play({.pbx = {"10.0.0.5"}}, [](Stage& stage) {
    for (const bool same_ports : {true, false}) {
      const Party inside{.user = "alice", .agent = "10.0.0.2:5060", .proxy = "10.0.0.5:5060"};
      Party other_branch = inside;
      other_branch.user = "alice2";
      const std::string id = same_ports ? "same" : "other";
      Call one(stage, inside, bob, id), two(stage, other_branch, Party{.user = "carol", .agent = "203.0.113.9:5060"}, id);
      two.callee_tag = "c";
      const Request first = one.send(true, "INVITE", {offer});
      const Request second = two.send(true, "INVITE", {same_ports ? offer : with(offer, "4000", "4100")});
      one.respond(first, "183 Session Progress", {answer});
      two.respond(second, "180 Ringing");
      one.ack_failure(first, one.respond(first, "480 Temporarily Unavailable"));
      CHECK((same_ports ? is_open(stage, "10.0.0.2:4000") : is_closed(stage, "10.0.0.2:4000")));
      CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
      two.respond(second, "200 OK", {audio("203.0.113.4", 32000)});
      two.ack();
      CHECK(is_open(stage, same_ports ? "10.0.0.2:4000" : "10.0.0.2:4100"));
      two.hang_up(false);
      CHECK(is_closed(stage, same_ports ? "10.0.0.2:4000" : "10.0.0.2:4100"));
    }
  });
}

TEST_CASE("scenario: a branch beyond us that lost closes its ways out 64*T1 after the 2xx of the other") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "loser");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "183 Session Progress", {answer}, "b1");
    call.respond(invite, "200 OK", {audio("203.0.113.4", 32000)}, "b2");
    call.ack();
    stage.pass_time(31s);
    CHECK(leads_out(stage, "203.0.113.3:30000"));
    stage.pass_time(2s);
    CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
    CHECK(leads_out(stage, "203.0.113.4:32000"));
    CHECK(is_open(stage, "10.0.0.2:4000"));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: two branches answered and both are kept: what one moves or ends leaves the other's doors") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "both");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "200 OK", {answer}, "b1");
    call.ack();
    Call other = call;
    call.respond(invite, "200 OK", {audio("203.0.113.4", 32000)}, "b2");
    other.callee_tag = "b2";
    other.ack();
    call.reinvite(true, with(offer, "4000", "4100"), answer);
    stage.pass_time(40s);
    CHECK(is_open(stage, "10.0.0.2:4000"));
    CHECK(is_open(stage, "10.0.0.2:4100"));
    call.hang_up(false);
    CHECK(is_closed(stage, "10.0.0.2:4100"));
    CHECK(is_open(stage, "10.0.0.2:4000"));
    CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
    CHECK(leads_out(stage, "203.0.113.4:32000"));
    other.hang_up(true);
    CHECK(is_closed(stage, "10.0.0.2:4000"));
  });
}

TEST_CASE("scenario: two branches beyond us answer reliably, each with its PRACK: audio with each, then with the one that answers") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "reliable-fork");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "183 Session Progress", {answer, reliable}, "b1");
    call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
    call.respond(invite, "183 Session Progress", {audio("203.0.113.4", 32000), reliable}, "b2");
    call.callee_tag = "b2";
    call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
    CHECK(leads_out(stage, "203.0.113.3:30000"));
    CHECK(leads_out(stage, "203.0.113.4:32000"));
    call.respond(invite, "200 OK", {}, "b2");
    call.ack();
    stage.pass_time(40s);
    CHECK(is_open(stage));
    CHECK(leads_nowhere(stage, "203.0.113.3:30000"));
    CHECK(leads_out(stage, "203.0.113.4:32000"));
    call.hang_up(false);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: a server that changes its To tag in the 200, without SDP of its own there: the media of the 183 goes on") {
  play([](Stage& stage) {
    stage.lasts = true;
    Call call(stage, bob, alice, "careless");
    const Request invite = call.to(enroll(stage, alice, bob, 600).contact).send(true, "INVITE", {answer});
    call.respond(invite, "183 Session Progress", {offer}, "first");
    call.respond(invite, "200 OK", {}, "second");
    call.ack();
    stage.pass_time(60s);
    CHECK(is_open(stage));
    CHECK(leads_out(stage, "203.0.113.3:30000"));
    call.hang_up(false);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: one of two lines of a host hung up while the other rings: the call shown is the one that rings") {
  play([](Stage& stage) {
    TwoLines lines(stage);
    lines.one.respond(lines.first, "200 OK", {of_first});
    lines.one.ack();
    lines.two.respond(lines.second, "183 Session Progress", {of_second});
    lines.one.hang_up(true);
    if (stage.works()) {
      const report::Call call = shown(stage);
      CHECK(call.state == "early");
      REQUIRE(call.streams.size() == 2);
      CHECK(call.streams[0].inside == ep("10.0.0.2:4100"));
    }
    lines.two.respond(lines.second, "200 OK", {of_second});
    lines.two.ack();
    CHECK(is_open(stage, "10.0.0.2:4100"));
    CHECK(is_closed(stage));
    lines.two.hang_up(true);
  });
}
