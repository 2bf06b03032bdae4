// SPDX-License-Identifier: GPL-2.0-or-later
// What time ends and what it never cuts: transactions, long calls and holds, session timers, registrations.
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

const std::string held = with(offer, "RTP/AVP 0\n", "RTP/AVP 0\na=inactive\n");

void media_flows(Stage& stage) { stage.world.kernel.with_flow.insert(ep("203.0.113.1:4000")); }

}  // namespace

TEST_CASE("scenario: 13 h of talk with a refresh every 30 minutes: the same ports all the time") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "long");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "200 OK", {answer, "Session-Expires: 1800;refresher=uac\n"});
    call.ack();
    media_flows(stage);
    for (int n = 0; n < 26; ++n) {
      stage.pass_time(30min);
      const Content timer{n % 2 == 0 ? offer : "", "Session-Expires: 1800;refresher=uac\n"};
      const Content agreed{n % 2 == 0 ? answer : "", "Session-Expires: 1800;refresher=uac\n"};
      call.transact(n % 3 != 0, "UPDATE", n % 3 != 0 ? timer : agreed, n % 3 != 0 ? agreed : timer);
      if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
    }
    call.hang_up(false);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: 13 h of talk without one message, 25 h of hold: never cut while media has a conntrack") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "silent");
    call.establish(offer, answer);
    media_flows(stage);
    stage.pass_time(13h);
    CHECK(is_open(stage));
    call.reinvite(true, held, answer);
    stage.pass_time(25h);
    CHECK(is_open(stage));
    call.reinvite(true, offer, answer);
    CHECK(is_open(stage));
    call.hang_up(true);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: an INVITE that expires early is answered later than that") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "late");
    const Request invite = call.send(true, "INVITE", {offer, "Expires: 30\n"});
    call.respond(invite, "180 Ringing");
    stage.pass_time(100s);
    call.respond(invite, "200 OK", {answer});
    call.ack();
    CHECK(is_open(stage));
    call.hang_up(true);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: without media a call ends an hour after its last message, a held one after 24 h") {
  play([](Stage& stage) {
    stage.lasts = true;
    Call talking(stage, alice, bob, "talking");
    talking.establish(offer, answer);
    stage.pass_time(59min);
    CHECK(is_open(stage));
    talking.transact(true, "INFO");
    stage.pass_time(59min);
    CHECK(is_open(stage));
    stage.pass_time(2min);
    CHECK(is_closed(stage));
    Call holding(stage, alice, bob, "holding");
    holding.establish(offer, answer);
    holding.reinvite(false, with(answer, "RTP/AVP 0\n", "RTP/AVP 0\na=sendonly\n"), with(offer, "RTP/AVP 0\n", "RTP/AVP 0\na=recvonly\n"));
    stage.pass_time(23h);
    CHECK(is_open(stage));
    stage.pass_time(2h);
    CHECK(is_closed(stage));
    if (stage.works()) CHECK(stage.world.stats()[Event::calls_ended_by_time] == 2);
  });
}

TEST_CASE("scenario: a hold by 0.0.0.0 whose answer says nothing of it is a hold") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "held-2543");
    call.establish(offer, answer);
    call.reinvite(false, with(answer, "c=IN IP4 203.0.113.3", "c=IN IP4 0.0.0.0"), offer);
    stage.pass_time(20h);
    CHECK(is_open(stage));
    call.reinvite(false, answer, offer);
    stage.pass_time(2h);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: a refused resume leaves the call held: it has its 24 h") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "still-held");
    call.establish(offer, answer);
    call.reinvite(true, held, with(answer, "RTP/AVP 0\n", "RTP/AVP 0\na=inactive\n"));
    call.refused_reinvite(true, offer, "491 Request Pending");
    stage.pass_time(20h);
    CHECK(is_open(stage));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: Session-Expires of the last 2xx ends a dead call, and never one whose media lives") {
  play([](Stage& stage) {
    stage.lasts = true;
    for (const bool lives : {true, false}) {
      Call call(stage, alice, bob, lives ? "lives" : "dead");
      const Request invite = call.send(true, "INVITE", {offer, "Session-Expires: 7200\n"});
      call.respond(invite, "200 OK", {answer, "Session-Expires: 300;refresher=uas\n"});
      call.ack();
      if (lives) media_flows(stage);
      stage.pass_time(331s);
      CHECK(is_open(stage));
      stage.pass_time(2s);  // 300 s and 64*T1: far below call-idle
      if (!lives) CHECK(is_closed(stage));
      if (!lives) continue;
      stage.pass_time(1h);
      CHECK(is_open(stage));
      call.hang_up(true);
      stage.world.kernel.with_flow.clear();
    }
  });
}

TEST_CASE("scenario: transactions that nobody answers are ended by time, each with its doors") {
  play([](Stage& stage) {
    Call silent(stage, alice, bob, "silent"), options(stage, alice, bob, "options"), ringing(stage, alice, bob, "ringing");
    silent.send(true, "INVITE", {offer});
    options.send(true, "OPTIONS");
    stage.pass_time(33s);
    CHECK(is_closed(stage));
    stage.pass_time(32s);
    if (stage.works()) CHECK(stage.world.doors() == 0);
    const Request invite = ringing.send(true, "INVITE", {offer});
    ringing.respond(invite, "180 Ringing");
    stage.pass_time(170s);
    CHECK(is_open(stage));
    stage.pass_time(20s);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: a BYE that nobody answers ends the call after 64*T1") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "bye");
    call.establish(offer, answer);
    call.send(true, "BYE");
    stage.pass_time(31s);
    CHECK(is_open(stage));
    stage.pass_time(2s);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: a challenged BYE does not end the call, the second one does") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "bye-401");
    call.establish(offer, answer);
    call.respond(call.send(true, "BYE"), "401 Unauthorized");
    stage.pass_time(40s);
    CHECK(is_open(stage));
    call.hang_up(true);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: a registration is refreshed, lasts what was granted, and ends with Expires 0 or by time") {
  play([](Stage& stage) {
    enroll(stage, alice, bob, 120);
    stage.pass_time(100s);
    const Enrolled enrolled = enroll(stage, alice, bob, 120);
    stage.pass_time(100s);
    if (stage.works()) {
      CHECK(stage.world.engine.registrations(stage.world.now).size() == 1);
      CHECK(stage.world.door_of("10.0.0.2:5060") == ep("203.0.113.1:5060"));
    }
    stage.world.forget_flows();
    Call call(stage, bob, alice, "to-registered");
    call.to(enrolled.contact).establish(answer, offer);
    call.hang_up(true);
    stage.pass_time(60s);
    if (stage.works()) CHECK(stage.world.engine.registrations(stage.world.now).empty());
    enroll(stage, alice, bob, 600, "reg-2");
    enroll(stage, alice, bob, 0, "reg-3");
    if (stage.works()) CHECK(stage.world.engine.registrations(stage.world.now).empty());
  });
}

TEST_CASE("scenario: several addresses of record on one Contact share its door, each with its own expiry") {
  play([](Stage& stage) {
    Party second = alice;
    second.user = "sales";
    const auto enroll_as = [&stage](const Party& phone, int seconds, const std::string& id) {
      Call call(stage, phone, Party{.user = phone.user, .agent = bob.agent}, id);
      const std::string contact = "Contact: <sip:" + phone.user + "@" + phone.agent + ">;expires=" + std::to_string(seconds) + "\n";
      const Request request = call.send(true, "REGISTER", {{}, contact});
      call.respond(request, "200 OK");
      return uri_in(value_of(request.got, "Contact"));
    };
    enroll_as(alice, 60, "reg-1");
    const std::string contact = enroll_as(second, 600, "reg-2");
    if (stage.works()) CHECK(stage.world.engine.registrations(stage.world.now).size() == 2);
    stage.pass_time(100s);
    if (stage.works()) CHECK(stage.world.engine.registrations(stage.world.now).size() == 1);
    stage.world.forget_flows();
    Call call(stage, bob, second, "to-sales");
    call.to(contact).establish(answer, offer);
    CHECK(is_open(stage));
    call.hang_up(false);
    stage.lasts = true;
  });
}

TEST_CASE("scenario: SUBSCRIBE, NOTIFY before and after its 2xx, refreshed, terminated") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "presence");
    const Request subscribe = call.send(true, "SUBSCRIBE", {{}, "Event: presence\nExpires: 300\n"});
    call.respond(subscribe, "200 OK", {{}, "Expires: 300\n"});
    call.transact(false, "NOTIFY", {{}, "Event: presence\nSubscription-State: active;expires=300\n"});
    stage.pass_time(250s);
    call.transact(true, "SUBSCRIBE", {{}, "Event: presence\nExpires: 300\n"}, {{}, "Expires: 300\n"});
    stage.pass_time(250s);
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:5060"));
    call.transact(false, "NOTIFY", {{}, "Event: presence\nSubscription-State: terminated\n"});
  });
}

TEST_CASE("scenario: every record is lost in the middle of a call: it is followed from its next request on") {
  play([](Stage& stage) {
    for (const bool by_reinvite : {true, false}) {
      Call call(stage, alice, bob, by_reinvite ? "reinvited" : "updated");
      call.establish(offer, answer);
      stage.pass_time(5s);
      stage.world.engine.close_all(stage.world.now);
      CHECK(stage.world.doors() == 0);
      if (by_reinvite) {
        call.reinvite(true, offer, answer);
      } else {
        call.transact(true, "UPDATE", {offer}, {answer});
      }
      CHECK(is_open(stage));
      call.hang_up(true);
      CHECK(is_closed(stage));
    }
  });
}

TEST_CASE("scenario: a re-INVITE or UPDATE that nobody answers leaves the old session as it was") {
  play([](Stage& stage) {
    const std::string moved_and_held = with(held, "4000", "4100");
    for (const char* method : {"INVITE", "UPDATE"}) {
      for (const bool by_caller : {true, false}) {
        Call call(stage, alice, bob, std::string(method) + (by_caller ? "-out" : "-in"));
        call.establish(offer, answer);
        call.send(by_caller, method, {by_caller ? moved_and_held : with(answer, "RTP/AVP 0\n", "RTP/AVP 0\na=inactive\n")});
        if (stage.works() && by_caller) CHECK(stage.world.door_of("10.0.0.2:4100"));
        stage.pass_time(33s);  // 64*T1 without an answer
        CHECK(is_open(stage));
        stage.pass_time(33s);  // media on the way
        CHECK(is_open(stage));
        CHECK_FALSE(stage.world.door_of("10.0.0.2:4100"));
        const auto calls = stage.world.engine.calls(stage.world.now);
        if (stage.works()) {
          REQUIRE(calls.size() == 1);
          CHECK_FALSE(calls.front().held);
          REQUIRE(calls.front().streams.size() == 1);
          CHECK(calls.front().streams.front().direction == "sendrecv");
          CHECK(calls.front().streams.front().remote == ep("203.0.113.3:30000"));
        }
        call.hang_up(by_caller);
        CHECK(is_closed(stage));
      }
    }
  });
}

TEST_CASE("scenario: a PRACK with an offer that nobody answers leaves the early session as it was") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "prack");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "183 Session Progress", {answer, "Require: 100rel\nRSeq: 1\n"});
    call.send(true, "PRACK", {with(offer, "4000", "4100"), "RAck: 1 1 INVITE\n"});
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:4100"));
    stage.pass_time(75s);
    CHECK(is_open(stage));
    CHECK_FALSE(stage.world.door_of("10.0.0.2:4100"));
    call.respond(invite, "200 OK");
    call.ack();
    CHECK(is_open(stage));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: a re-INVITE that gets a 100 only is given up 180 s later, though media flows on") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "only-100");
    call.establish(offer, answer);
    media_flows(stage);
    const Request invite = call.send(true, "INVITE", {with(held, "4000", "4040")});
    call.respond(invite, "100 Trying");
    stage.pass_time(170s);
    CHECK(is_open(stage, "10.0.0.2:4040"));
    stage.pass_time(50s);  // and 64*T1
    CHECK(is_open(stage));
    CHECK(is_closed(stage, "10.0.0.2:4040"));
    const auto calls = stage.world.engine.calls(stage.world.now);
    if (stage.works()) {
      REQUIRE(calls.size() == 1);
      CHECK_FALSE(calls.front().held);
    }
    call.hang_up(true);
  });
}
