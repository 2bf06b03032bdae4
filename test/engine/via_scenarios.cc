// SPDX-License-Identifier: GPL-2.0-or-later
// Where responses go: each request but ACK makes the door that its first Via value calls for (RFC 3261 section 18.2.2,
// RFC 3581 section 4).
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

TEST_CASE("scenario: a phone sends from 49152 and listens on 5060, with and without rport, answered from another port too") {
  play([](Stage& stage) {
    Party phone = alice, server = bob;
    phone.source = "10.0.0.2:49152";
    for (const bool rport : {true, false}) {
      phone.rport = rport;
      for (const char* from : {"", "203.0.113.2:5070"}) {
        server.answers_from = from;
        const std::string id = std::string(rport ? "rport" : "plain") + from;
        Call call(stage, phone, server, id);
        call.transact(true, "OPTIONS");
        Call(stage, phone, server, id + "x").establish(offer, answer);
      }
    }
    stage.world.engine.clear_calls(stage.world.now);
  });
}

TEST_CASE("scenario: a host name in Via, and a port of its own") {
  play([](Stage& stage) {
    Party phone = alice;
    phone.via_host = "phone.lan";
    for (const char* source : {"", "10.0.0.2:49152"}) {
      phone.source = source;
      for (const bool rport : {true, false}) {
        phone.rport = rport;
        Call call(stage, phone, bob, (rport ? "named" : "named-plain") + phone.source);
        call.establish(offer, answer);
        call.hang_up(true);
      }
      stage.pass_time(1h);
      stage.world.kernel.taken.insert(ep("203.0.113.1:5060"));  // from now on the name's port must follow its door
      stage.world.forget_flows();
    }
  });
}

TEST_CASE("scenario: responses reach the phone for each form of Via: address, name, port, rport, a server without rport") {
  play_sampled({}, [](Stage& stage) {
    for (int form = 0; form < 4; ++form) {
      for (const auto& [rport, knows_rport] : {std::pair{false, true}, {true, true}, {true, false}}) {
        Party phone = alice, server = bob;
        phone.source = "10.0.0.2:49152";
        phone.via_port = form % 2 == 1;
        phone.via_host = form < 2 ? "" : "phone.example.com";
        phone.rport = rport;
        server.knows_rport = knows_rport;
        const std::string id = "via-" + std::to_string(form) + (rport ? "r" : "") + (knows_rport ? "k" : "");
        Call call(stage, phone, server, id);
        for (const char* method : {"OPTIONS", "MESSAGE", "INVITE"}) {
          const Request request = call.send(true, method);
          const std::string got = call.respond(request, "200 OK");
          if (stage.works()) CHECK(got.find("SIP/2.0 200 OK") == 0);
          if (stage.works()) CHECK(stage.world.flow.receiver.inside == ep(rport && knows_rport ? "10.0.0.2:49152" : "10.0.0.2:5060"));
        }
        call.ack();
        call.hang_up(true);
      }
    }
  }, 60);
}

TEST_CASE("scenario: the Via's port is another phone's outside: it gets another, also behind a name, and comes back as sent") {
  play([](Stage& stage) {
    stage.world.kernel.taken.insert(ep("203.0.113.1:5060"));
    int n = 0;
    for (const char* name : {"", "phone.example.com"}) {
      for (const bool port : {true, false}) {
        Party phone = alice;
        phone.source = "10.0.0.2:49152";
        phone.via_host = name;
        phone.via_port = port;
        phone.rport = false;
        Call call(stage, phone, bob, "second-" + std::to_string(++n));
        const Request request = call.send(true, "OPTIONS");
        if (stage.works()) CHECK(request.reply_to != "203.0.113.1:5060");
        const std::string got = call.respond(request, "200 OK");
        if (stage.works()) CHECK(got.find("SIP/2.0 200 OK") == 0);
      }
    }
  });
}

TEST_CASE("scenario: the INVITE is left as it came, challenged, and the second one is mapped: the ACK is treated as the second") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "second-try");
    const Request first = call.send(true, "INVITE", {offer});
    call.ack_failure(first, call.respond(first, "407 Proxy Authentication Required", {}, "x"));
    const Request second = call.send(true, "INVITE", {offer});
    call.respond(second, "200 OK", {answer});
    const Request ack = call.ack();
    if (!second.arrived.empty() && !ack.arrived.empty()) CHECK(value_of(ack.arrived, "From") == value_of(second.arrived, "From"));
    const Request bye = call.send(true, "BYE");
    if (!second.arrived.empty() && !bye.arrived.empty()) CHECK(value_of(bye.arrived, "From") == value_of(second.arrived, "From"));
    call.respond(bye, "200 OK");
  });
}

TEST_CASE("scenario: an INVITE that would become too big is left as it came, and so are its ACK and the From of its BYE") {
  play([](Stage& stage) {
    Call call(stage, alice, bob, "too-big");
    stage.world.most_bytes = 100;
    const Request invite = call.send(true, "INVITE", {offer});
    stage.world.most_bytes = 65'507;
    CHECK(invite.arrived == invite.written);
    call.respond(invite, "200 OK", {answer});
    const Request ack = call.ack();
    CHECK(ack.arrived == ack.written);
    const Request bye = call.send(true, "BYE");
    CHECK(value_of(bye.arrived, "From") == value_of(bye.written, "From"));
    call.respond(bye, "200 OK");
  });
}
