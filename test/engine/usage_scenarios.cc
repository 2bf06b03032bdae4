// SPDX-License-Identifier: GPL-2.0-or-later
// Dialogs with more than one usage (RFC 5057): subscriptions beside and inside of calls, and which of them ends what.
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

TEST_CASE("scenario: NOTIFY or SUBSCRIBE inside an early INVITE dialog: CANCEL and 487 close the media at once") {
  play([](Stage& stage) {
    for (const bool by_notify : {true, false}) {
      Call call(stage, alice, bob, by_notify ? "talk" : "kpml");
      const Request invite = call.send(true, "INVITE", {offer});
      call.respond(invite, "183 Session Progress", {answer});
      if (by_notify) {
        call.transact(false, "NOTIFY", {{}, "Event: talk\nSubscription-State: active\n"});
      } else {
        call.transact(false, "SUBSCRIBE", {{}, "Event: kpml\nExpires: 7200\n"}, {{}, "Expires: 7200\n"});
        call.transact(true, "NOTIFY", {{}, "Event: kpml\nSubscription-State: active;expires=7200\n"});
      }
      CHECK(is_open(stage));
      call.respond(call.cancel(invite), "200 OK");
      call.ack_failure(invite, call.respond(invite, "487 Request Terminated"));
      CHECK(is_closed(stage));
    }
    stage.pass_time(3h);
  });
}

TEST_CASE("scenario: NOTIFY without expires leaves a subscription the time it was granted") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "presence");
    const Request subscribe = call.send(true, "SUBSCRIBE", {{}, "Event: presence\nExpires: 3600\n"});
    call.respond(subscribe, "200 OK", {{}, "Expires: 3600\n"});
    call.transact(false, "NOTIFY", {{}, "Event: presence\nSubscription-State: active\n"});
    stage.pass_time(55min);
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:5060"));
    stage.world.forget_flows();
    call.transact(false, "NOTIFY", {{}, "Event: presence\nSubscription-State: active\n"});
    stage.pass_time(6min);
  });
}

TEST_CASE("scenario: a call that was transferred ends with its BYE, not by time") {
  play([](Stage& stage) {
    for (const bool terminated : {true, false}) {
      Call call(stage, alice, bob, terminated ? "terminated" : "expired");
      call.establish(offer, answer);
      const Request refer = call.send(false, "REFER", {{}, "Refer-To: <sip:carol@203.0.113.7>\n"});
      call.respond(refer, "202 Accepted");
      call.transact(true, "NOTIFY", {{}, "Event: refer\nSubscription-State: active;expires=60\n"});
      if (terminated) {
        call.transact(true, "NOTIFY", {{}, "Event: refer\nSubscription-State: terminated;reason=noresource\n"});
      } else {
        stage.pass_time(61s);
        if (stage.works()) CHECK(stage.world.engine.next_timer() > stage.world.now + 30s);
      }
      call.hang_up(false);
      if (stage.works()) CHECK(stage.world.engine.totals().calls == 0);
    }
    if (stage.works()) CHECK(stage.world.stats()[Event::calls_ended_by_message] == 2);
    CHECK(stage.world.stats()[Event::calls_ended_by_time] == 0);
  });
}

TEST_CASE("scenario: no Expires keeps anything for ever") {
  play([](Stage& stage) {
    stage.lasts = true;
    const std::string longest = "Expires: 4294967295\n";
    Call ringing(stage, alice, bob, "ringing");
    ringing.respond(ringing.send(true, "INVITE", {offer, longest}), "180 Ringing");
    stage.pass_time(2h);
    CHECK(is_closed(stage));
    for (const bool by_notify : {true, false}) {
      Call call(stage, alice, bob, by_notify ? "notified" : "granted");
      const Request subscribe = call.send(true, "SUBSCRIBE", {{}, "Event: presence\n" + (by_notify ? std::string() : longest)});
      call.respond(subscribe, "200 OK", {{}, by_notify ? std::string() : longest});
      if (by_notify) call.transact(false, "NOTIFY", {{}, "Event: presence\nSubscription-State: active;expires=4294967295\n"});
    }
    stage.pass_time(6 * 24h);
    if (stage.works()) CHECK(stage.world.door_of("10.0.0.2:5060"));
    stage.pass_time(2 * 24h);
    CHECK(stage.world.doors() == 0);
  });
}
