// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers of either side, blind and attended (RFC 3515, 3891, 5589).
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

TEST_CASE("scenario: blind transfer: REFER, NOTIFY, BYE of the first call, the new call") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "transferred");
    call.establish(offer, answer);
    const Request refer = call.send(false, "REFER", {{}, "Refer-To: <sip:dave@example.net>\n"});
    call.respond(refer, "202 Accepted");
    call.transact(true, "NOTIFY", {{}, "Event: refer\nSubscription-State: active;expires=60\n"});
    Call next(stage, alice, bob, "to-dave");
    next.establish(audio("10.0.0.2", 4010), audio("203.0.113.3", 30010));
    call.transact(true, "NOTIFY", {{}, "Event: refer\nSubscription-State: terminated;reason=noresource\n"});
    call.hang_up(false);
    CHECK(is_closed(stage, "10.0.0.2:4000"));
    CHECK(is_open(stage, "10.0.0.2:4010"));
    next.hang_up(false);
  });
}

TEST_CASE("scenario: attended transfer: REFER with Replaces, INVITE with Replaces to our phone") {
  play([](Stage& stage) {
    const Enrolled enrolled = enroll(stage, alice, bob, 600);
    stage.lasts = true;
    Call first(stage, alice, bob, "first"), consultation(stage, alice, bob, "consultation");
    first.establish(offer, answer);
    first.reinvite(true, with(offer, "RTP/AVP 0\n", "RTP/AVP 0\na=sendonly\n"), answer);
    consultation.establish(audio("10.0.0.2", 4010), audio("203.0.113.3", 30010));
    const std::string replaces = "?Replaces=consultation%3Bto-tag%3Db%3Bfrom-tag%3Da>\n";
    first.respond(first.send(true, "REFER", {{}, "Refer-To: <sip:dave@203.0.113.9:5060" + replaces}), "202 Accepted");
    first.transact(false, "NOTIFY", {{}, "Event: refer\nSubscription-State: terminated\n"});
    first.hang_up(true);
    consultation.hang_up(false);
    Call replacing(stage, bob, alice, "replacing");
    replacing.to(enrolled.contact);
    const Request invite = replacing.send(true, "INVITE", {answer, "Replaces: first;to-tag=b;from-tag=a\n"});
    replacing.respond(invite, "200 OK", {audio("10.0.0.2", 4020)});
    replacing.ack();
    CHECK(is_open(stage, "10.0.0.2:4020"));
    replacing.hang_up(true);
    CHECK(is_closed(stage, "10.0.0.2:4020"));
  });
}

TEST_CASE("scenario: attended transfer by the provider: Replaces in Refer-To and in the phone's new INVITE stay byte for byte") {
  play([](Stage& stage) {
    const std::string replaces = "consult;to-tag=b1;from-tag=a1";
    const std::string target = "<sip:dave@203.0.113.9:5060?Replaces=consult%3Bto-tag%3Db1%3Bfrom-tag%3Da1>";
    Call call(stage, alice, bob, "referred");
    call.establish(offer, answer);
    const Request refer = call.send(false, "REFER", {{}, "Refer-To: " + target + "\n"});
    if (stage.works()) CHECK(value_of(refer.got, "Refer-To") == target);
    call.respond(refer, "202 Accepted");
    call.transact(true, "NOTIFY", {{}, "Event: refer\nSubscription-State: active;expires=60\n"});
    Call next(stage, alice, Party{.user = "dave", .agent = "203.0.113.9:5060"}, "transferred");
    const Request invite = next.send(true, "INVITE", {offer, "Replaces: " + replaces + "\n"});
    CHECK(value_of(invite.arrived, "Replaces") == replaces);
    next.respond(invite, "200 OK", {audio("203.0.113.9", 32000)});
    next.ack();
    call.transact(true, "NOTIFY", {{}, "Event: refer\nSubscription-State: terminated;reason=noresource\n"});
    call.hang_up(false);
    CHECK(is_open(stage));  // the phone's audio port, now of the new call alone
    CHECK(leads_out(stage, "203.0.113.9:32000"));
    next.hang_up(false);
    CHECK(is_closed(stage));
  });
}

TEST_CASE("scenario: blind and attended transfer by the phone to a registered colleague: Refer-To leads to his door") {
  play([](Stage& stage) {
    stage.lasts = true;
    const Enrolled colleague = enroll(stage, carol, bob, 600, "reg-c");
    for (const char* replaces : {"", "?Replaces=consult%3Bto-tag%3Db1%3Bfrom-tag%3Da1"}) {
      const std::string id = *replaces ? "attended" : "blind";
      Call call(stage, alice, bob, id);
      call.establish(offer, answer);
      const Request refer = call.send(true, "REFER", {{}, "Refer-To: <sip:carol@10.0.0.3:5060" + std::string(replaces) + ">\n"});
      if (stage.works()) CHECK(value_of(refer.got, "Refer-To") == "<" + colleague.contact + replaces + ">");
      call.respond(refer, "202 Accepted");
      call.transact(false, "NOTIFY", {{}, "Event: refer\nSubscription-State: active;expires=60\n"});
      Call next(stage, bob, carol, id + "-next");
      next.to(colleague.contact).establish(answer, audio("10.0.0.3", 4000));
      CHECK(is_open(stage, "10.0.0.3:4000"));
      call.transact(false, "NOTIFY", {{}, "Event: refer\nSubscription-State: terminated;reason=noresource\n"});
      call.hang_up(true);
      CHECK(is_closed(stage));
      CHECK(is_open(stage, "10.0.0.3:4000"));
      next.hang_up(true);
      CHECK(is_closed(stage, "10.0.0.3:4000"));
    }
  });
}
