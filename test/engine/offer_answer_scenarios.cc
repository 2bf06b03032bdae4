// SPDX-License-Identifier: GPL-2.0-or-later
// Offers and answers wherever they may stand (RFC 3262, 3264, 3311, 6337), holds, refusals.
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

Content reliably(const std::string& sdp) { return {sdp, reliable}; }

// Who offers first: alice out to bob, or bob in to alice.
struct Side {
  Call call;
  std::string offer, answer;  // the caller's, the callee's
};
Side call_of(Stage& stage, bool out, const std::string& id) {
  if (out) return {Call(stage, alice, bob, id), offer, answer};
  const Enrolled enrolled = enroll(stage, alice, bob, 600, "reg-" + id);
  stage.lasts = true;
  Call call(stage, bob, alice, id);
  call.to(enrolled.contact);
  return {std::move(call), answer, offer};
}

}  // namespace

TEST_CASE("scenario: offer in INVITE, answer in a reliable 1xx, PRACK, UPDATE with another offer, 2xx") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      const Request invite = call.send(true, "INVITE", {first});
      call.respond(invite, "183 Session Progress", reliably(second));
      CHECK(is_open(stage, "10.0.0.2:4000"));
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
      call.transact(true, "UPDATE", {with(first, "1 1 IN", "1 2 IN")}, {with(second, "1 1 IN", "1 2 IN")});
      call.respond(invite, "200 OK");
      call.ack();
      CHECK(is_open(stage, "10.0.0.2:4000"));
      call.hang_up(!out);
    }
  });
}

TEST_CASE("scenario: a second offer in PRACK, its answer in the 200 to PRACK") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      const Request invite = call.send(true, "INVITE", {first});
      call.respond(invite, "183 Session Progress", reliably(second));
      call.transact(true, "PRACK", {with(first, "4000", "4100"), "RAck: 1 1 INVITE\n"}, {with(second, "4000", "4100")});
      CHECK(is_open(stage, "10.0.0.2:4100"));
      call.respond(invite, "200 OK");
      call.ack();
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: INVITE without offer, answered in PRACK; a second PRACK offers and is refused: the first ports stay") {
  play([](Stage& stage) {
    const std::string first = audio("10.0.0.2", 4000), second = audio("203.0.113.3", 30000);
    Call call(stage, alice, bob, "prack-twice");
    const Request invite = call.send(true, "INVITE");
    call.respond(invite, "183 Session Progress", {second, "Require: 100rel\nRSeq: 1\n"});
    call.transact(true, "PRACK", {first, "RAck: 1 1 INVITE\n"});
    call.respond(invite, "180 Ringing", {{}, "Require: 100rel\nRSeq: 2\n"});
    const Request offers = call.send(true, "PRACK", {with(first, "4000", "4040"), "RAck: 2 1 INVITE\n"});
    call.respond(offers, "488 Not Acceptable Here");
    stage.pass_time(40s);
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:4000"));
    if (stage.works()) CHECK_FALSE(stage.world.door_of("10.0.0.2:4040"));
    call.respond(invite, "200 OK");
    call.ack();
    call.hang_up(true);
  });
}

TEST_CASE("scenario: INVITE without offer, offer in a reliable 1xx, answer in PRACK") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      const Request invite = call.send(true, "INVITE");
      call.respond(invite, "183 Session Progress", reliably(second));
      call.transact(true, "PRACK", {first, "RAck: 1 1 INVITE\n"});
      CHECK(is_open(stage, "10.0.0.2:4000"));
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      call.respond(invite, "200 OK");
      call.ack();
      CHECK(is_open(stage, "10.0.0.2:4000"));
      call.hang_up(false);
    }
  });
}

TEST_CASE("scenario: late offer: the 2xx offers, the ACK answers") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      const Request invite = call.send(true, "INVITE");
      call.respond(invite, "180 Ringing");
      call.respond(invite, "200 OK", {second});
      call.ack({first});
      CHECK(is_open(stage, "10.0.0.2:4000"));
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: UPDATE of the callee before the answer, and of both in the call") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      const Request invite = call.send(true, "INVITE", {first});
      call.respond(invite, "183 Session Progress", reliably(second));
      call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
      call.transact(false, "UPDATE", {second}, {first});
      call.respond(invite, "200 OK");
      call.ack();
      call.transact(true, "UPDATE", {with(first, "4000", "4100")}, {second});
      call.transact(false, "UPDATE", {second}, {with(first, "4000", "4100")});
      stage.pass_time(40s);
      if (out) CHECK(is_open(stage, "10.0.0.2:4100"));
      if (out) CHECK(is_closed(stage, "10.0.0.2:4000"));
      call.hang_up(false);
    }
  });
}

TEST_CASE("scenario: UPDATE of the caller moves its audio before the answer; the side that did not move keeps its ports") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      const Request invite = call.send(true, "INVITE", {first});
      call.respond(invite, "183 Session Progress", reliably(second));
      call.transact(true, "PRACK", {{}, "RAck: 1 1 INVITE\n"});
      const std::string moved = with(with(first, "4000", "4100"), "30000", "30100");
      call.transact(true, "UPDATE", {moved}, {second});
      CHECK(is_open(stage, out ? "10.0.0.2:4100" : "10.0.0.2:4000"));
      CHECK(leads_out(stage, out ? "203.0.113.3:30000" : "203.0.113.3:30100"));
      call.respond(invite, "200 OK");
      call.ack();
      call.transact(false, "UPDATE", {with(with(second, "4000", "4100"), "30000", "30100")}, {moved});
      CHECK(is_open(stage, "10.0.0.2:4100"));
      CHECK(leads_out(stage, "203.0.113.3:30100"));
      call.hang_up(true);
      CHECK(is_closed(stage, "10.0.0.2:4100"));
    }
  });
}

TEST_CASE("scenario: a refused UPDATE leaves the session as it was") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "update");
    call.establish(offer, answer);
    call.respond(call.send(true, "UPDATE", {with(offer, "4000", "4100")}), "491 Request Pending");
    call.respond(call.send(false, "UPDATE", {with(answer, "30000", "30100")}), "488 Not Acceptable Here");
    stage.pass_time(40s);
    CHECK(is_open(stage, "10.0.0.2:4000"));
    CHECK(is_closed(stage, "10.0.0.2:4100"));
    CHECK(leads_out(stage, "203.0.113.3:30000"));
    call.hang_up(true);
  });
}

TEST_CASE("scenario: early media is two-way before the answer; CANCEL and 487, 3xx and 4xx after it end it") {
  play([](Stage& stage) {
    for (const char* status : {"487 Request Terminated", "302 Moved Temporarily", "480 Temporarily Unavailable"}) {
      Call call(stage, alice, bob, std::string("early-") + status[0] + status[2]);
      const Request invite = call.send(true, "INVITE", {offer});
      call.respond(invite, "183 Session Progress", {answer});
      CHECK(is_open(stage, "10.0.0.2:4000"));
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      if (status[2] == '7') call.respond(call.cancel(invite), "200 OK");
      const std::string contact = status[0] == '3' ? "Contact: <sip:bob@203.0.113.9:5070>\n" : "";
      call.ack_failure(invite, call.respond(invite, status, {{}, contact}));
      CHECK(is_closed(stage, "10.0.0.2:4000"));
      if (status[0] == '3') CHECK(leads_out(stage, "203.0.113.9:5070"));
    }
  });
}

TEST_CASE("scenario: redirected after early media: the new target is called with the same Call-ID from the same ports") {
  play([](Stage& stage) {
    stage.world.kernel.taken.insert(ep("203.0.113.1:4000"));
    Call call(stage, alice, bob, "redirected");
    const Request invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "183 Session Progress", {answer});
    const auto port = stage.world.door_of("10.0.0.2:4000");
    call.ack_failure(invite, call.respond(invite, "302 Moved Temporarily", {{}, "Contact: <sip:dave@203.0.113.9:5080>\n"}));
    CHECK(is_closed(stage));
    CHECK(leads_out(stage, "203.0.113.9:5080"));
    const Party same_phone{.user = "alice2", .agent = alice.agent};  // writes another branch
    Call again(stage, same_phone, Party{.user = "dave", .agent = "203.0.113.9:5080"}, "redirected");
    again.callee_tag = "d";
    again.establish(offer, audio("203.0.113.9", 32000));
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:4000") == port);
    CHECK(leads_out(stage, "203.0.113.9:32000"));
    again.hang_up(true);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: a fork beyond us: two To tags with an SDP each, and the 2xx of one or of both") {
  play([](Stage& stage) {
    for (const bool both : {false, true}) {
      Call call(stage, alice, bob, both ? "both" : "one");
      const Request invite = call.send(true, "INVITE", {offer});
      call.respond(invite, "183 Session Progress", {answer}, "b1");
      call.respond(invite, "183 Session Progress", {audio("203.0.113.4", 32000)}, "b2");
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      CHECK(leads_out(stage, "203.0.113.4:32000"));
      call.respond(invite, "200 OK", {audio("203.0.113.4", 32000)}, "b2");
      call.ack();
      Call other = call;
      if (both) {
        call.respond(invite, "200 OK", {answer}, "b1");
        other.callee_tag = "b1";
        other.ack();
        other.hang_up(true);
        CHECK(is_open(stage, "10.0.0.2:4000"));
      }
      CHECK(leads_out(stage, "203.0.113.4:32000"));
      call.hang_up(true);
      CHECK(is_closed(stage, "10.0.0.2:4000"));
    }
  });
}

TEST_CASE("scenario: 401 and 407, and the second INVITE with credentials: the same ports") {
  play([](Stage& stage) {
    stage.world.kernel.taken.insert(ep("203.0.113.1:4000"));
    for (const char* status : {"401 Unauthorized", "407 Proxy Authentication Required"}) {
      Call call(stage, alice, bob, std::string("challenged-") + status[2]);
      const Request invite = call.send(true, "INVITE", {offer});
      const auto port = stage.world.door_of("10.0.0.2:4000");
      call.ack_failure(invite, call.respond(invite, status));
      call.establish(offer, answer);
      if (stage.works()) {
        CHECK(port);
        CHECK(stage.world.door_of("10.0.0.2:4000") == port);
        CHECK(stage.world.engine.totals().calls == 1);
      }
      call.hang_up(false);
    }
  });
}

TEST_CASE("scenario: re-INVITE of either side with the same and with changed endpoints") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      call.establish(first, second);
      call.reinvite(true, first, second);
      call.reinvite(false, second, first);
      stage.pass_time(40s);
      CHECK(is_open(stage, "10.0.0.2:4000"));
      call.reinvite(true, with(with(first, "4000", "4100"), "30000", "30100"), with(with(second, "4000", "4100"), "30000", "30100"));
      CHECK(is_open(stage, "10.0.0.2:4000"));  // media on the way
      CHECK(is_open(stage, "10.0.0.2:4100"));
      stage.pass_time(40s);
      CHECK(is_closed(stage, "10.0.0.2:4000"));
      CHECK(is_open(stage, "10.0.0.2:4100"));
      CHECK(leads_out(stage, "203.0.113.3:30100"));
      call.hang_up(false);
    }
  });
}

TEST_CASE("scenario: a refused re-INVITE (491, 488) leaves the old session as it was") {
  play([](Stage& stage) {
    for (const bool out : {true, false}) {
      auto [call, first, second] = call_of(stage, out, out ? "out" : "in");
      call.establish(first, second);
      call.refused_reinvite(true, with(with(first, "4000", "4100"), "30000", "30100"), "491 Request Pending");
      call.refused_reinvite(false, with(with(second, "4000", "4200"), "30000", "30200"), "488 Not Acceptable Here");
      stage.pass_time(40s);
      CHECK(is_open(stage, "10.0.0.2:4000"));
      CHECK(leads_out(stage, "203.0.113.3:30000"));
      CHECK(is_closed(stage, "10.0.0.2:4100"));
      CHECK(is_closed(stage, "10.0.0.2:4200"));
      call.hang_up(true);
    }
  });
}

TEST_CASE("scenario: RTCP on a port of its own, muxed or refused to be; candidates follow; fax and BFCP come later") {
  play([](Stage& stage) {
    const std::string mux = "a=rtcp-mux\n", candidates = "a=candidate:1 1 UDP 1 10.0.0.2 4000 typ host\na=candidate:1 2 UDP 1 10.0.0.2 4001 typ host\n";
    int n = 0;
    for (const auto& [more, theirs] : {std::pair<std::string, std::string>{"a=rtcp:4101\n", "a=rtcp:31001\n"}, {mux, mux}, {mux, ""},
                                       {"a=rtcp-mux-only\n" + mux, mux}, {candidates, ""}, {"a=rtcp:4101 IN IP4 10.0.0.2\n" + candidates, ""}}) {
      Call call(stage, alice, bob, "media-" + std::to_string(++n));
      call.establish(offer + more, answer + theirs);
      CHECK(is_open(stage, "10.0.0.2:4000"));
      call.reinvite(false, answer + theirs, offer + more);
      call.reinvite(true, with(offer, "m=audio 4000", "m=audio 0") + "m=image 4100 udptl t38\nm=application 4200 TCP/BFCP *\na=setup:passive\n",
                    with(answer, "m=audio 30000", "m=audio 0") + "m=image 30100 udptl t38\nm=application 30200 TCP/BFCP *\na=setup:active\n");
      CHECK(is_open(stage, "10.0.0.2:4100"));
      CHECK(is_open(stage, "10.0.0.2:4200"));
      call.hang_up(n % 2 == 0);
      CHECK(is_closed(stage, "10.0.0.2:4100"));
    }
  });
}

TEST_CASE("scenario: hold and resume by 0.0.0.0, sendonly, inactive and port 0 of one line: the same ports afterwards") {
  play([](Stage& stage) {
    const std::string two = audio_and_video("10.0.0.2", 4000, 4002), theirs = audio_and_video("203.0.113.3", 30000, 30002);
    stage.world.kernel.taken.insert(ep("203.0.113.1:4002"));
    Call call(stage, alice, bob, "held");
    call.establish(two, theirs);
    const auto audio_port = stage.world.door_of("10.0.0.2:4000"), video_port = stage.world.door_of("10.0.0.2:4002");
    for (const auto& [from, to] : {std::pair{"c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0"}, {"RTP/AVP 0\n", "RTP/AVP 0\na=sendonly\n"},
                                   {"RTP/AVP 31\n", "RTP/AVP 31\na=inactive\n"}, {"m=video 4002", "m=video 0"}}) {
      for (const bool by_caller : {true, false}) {
        const std::string held = with(two, from, to);
        call.reinvite(by_caller, by_caller ? held : theirs, by_caller ? theirs : held);
        stage.pass_time(40s);
        if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:4000") == audio_port);
        call.reinvite(by_caller, by_caller ? two : theirs, by_caller ? theirs : two);
        stage.pass_time(40s);
        if (stage.works()) {
          CHECK(stage.world.door_of("10.0.0.2:4000") == audio_port);
          CHECK(stage.world.door_of("10.0.0.2:4002") == video_port);
        }
      }
    }
    call.hang_up(true);
  });
}

TEST_CASE("scenario: the other side holds by 0.0.0.0 and inactive: our doors stay, its ways out come back") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "they-hold");
    call.establish(offer, answer);
    for (const auto& [from, to] : {std::pair{"c=IN IP4 203.0.113.3", "c=IN IP4 0.0.0.0"}, {"RTP/AVP 0\n", "RTP/AVP 0\na=inactive\n"}}) {
      call.reinvite(false, with(answer, from, to), offer);
      stage.pass_time(40s);
      CHECK(is_open(stage, "10.0.0.2:4000"));
      call.reinvite(false, answer, offer);
      CHECK(leads_out(stage, "203.0.113.3:30000"));
    }
    call.hang_up(false);
  });
}
