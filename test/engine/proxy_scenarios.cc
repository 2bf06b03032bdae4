// SPDX-License-Identifier: GPL-2.0-or-later
// Where proxies stand: Record-Route, Route, Path and Service-Route, with in-dialog requests of both sides.
#include <catch2/catch.hpp>

#include "test/engine/message_text.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

// ACK, re-INVITE, UPDATE and BYE of both sides; the parties check what comes back.
void talk(Stage& stage, Call& call, const std::string& first, const std::string& second) {
  call.establish(first, second);
  call.reinvite(true, first, second);
  call.reinvite(false, second, first);
  call.transact(true, "UPDATE", {first}, {second});
  call.transact(false, "INFO");
  if (stage.works()) CHECK(stage.world.engine.totals().calls == 1);
}

void talk_both_ways(Stage& stage, const Party& inside, const Party& outside) {
  for (const bool by_caller : {true, false}) {
    Call call(stage, inside, outside, by_caller ? "out-1" : "out-2");
    talk(stage, call, offer, answer);
    call.hang_up(by_caller);
  }
  // the phone registers through its proxy; the registrar's calls come by the same way
  const std::string path = inside.proxy.empty() ? "" : "Path: <sip:" + inside.proxy + ";lr>\n";
  const Enrolled enrolled = enroll(stage, inside, outside, 600, "reg-1", path);
  stage.lasts = true;
  for (const bool by_caller : {true, false}) {
    Call call(stage, outside, inside, by_caller ? "in-1" : "in-2");
    call.to(enrolled.contact, enrolled.routes);
    talk(stage, call, answer, offer);
    call.hang_up(by_caller);
  }
  if (stage.works()) CHECK(stage.world.engine.totals().calls == 0);
}

Party with_two_routes(Party party) {
  party.double_route = true;
  return party;
}

}  // namespace

TEST_CASE("scenario: no proxy at all") {
  play([](Stage& stage) { talk_both_ways(stage, alice, bob); });
}

TEST_CASE("scenario: the router between a phone and a record-routing proxy") {
  play([](Stage& stage) { talk_both_ways(stage, alice, proxied_bob); });
}

TEST_CASE("scenario: the router between an inside proxy and the other phone") {
  play([](Stage& stage) { talk_both_ways(stage, proxied_alice, bob); });
}

TEST_CASE("scenario: the router between two proxies") {
  play([](Stage& stage) { talk_both_ways(stage, proxied_alice, proxied_bob); });
}

TEST_CASE("scenario: double Record-Route on the outside, on the inside, on both") {
  play([](Stage& stage) { talk_both_ways(stage, alice, with_two_routes(proxied_bob)); });
  play([](Stage& stage) { talk_both_ways(stage, with_two_routes(proxied_alice), bob); });
  play([](Stage& stage) { talk_both_ways(stage, with_two_routes(proxied_alice), with_two_routes(proxied_bob)); });
}

TEST_CASE("scenario: without NAT the proxies on both sides get their doors, and no byte changes") {
  play({.nat = false}, [](Stage& stage) { talk_both_ways(stage, proxied_alice, proxied_bob); });
}

TEST_CASE("scenario: CANCEL, 487, 401 and 486 through two proxies") {
  play([](Stage& stage) {
    Call call(stage, proxied_alice, proxied_bob, "cancelled");
    Request invite = call.send(true, "INVITE", {offer});
    call.ack_failure(invite, call.respond(invite, "401 Unauthorized"));
    invite = call.send(true, "INVITE", {offer});
    call.respond(invite, "183 Session Progress", {answer});
    call.respond(call.cancel(invite), "200 OK");
    call.ack_failure(invite, call.respond(invite, "487 Request Terminated"));
    Call busy(stage, proxied_alice, proxied_bob, "busy");
    invite = busy.send(true, "INVITE", {offer});
    busy.ack_failure(invite, busy.respond(invite, "486 Busy Here"));
    if (stage.works()) CHECK_FALSE(stage.world.door_of("10.0.0.2:4000"));
  });
}

TEST_CASE("scenario: an inside proxy of two transports writes two Record-Routes: both come back as it wrote them") {
  play([](Stage& stage) {
    Party proxied = with_two_routes(proxied_alice);
    proxied.inner_transport = ";transport=tcp";
    Call call(stage, proxied, bob, "two-transports");
    const Request invite = call.send(true, "INVITE", {offer});
    if (stage.works()) CHECK(values_of(invite.arrived, "Record-Route").size() == 2);
    call.respond(invite, "200 OK", {answer});
    call.ack();
    call.reinvite(false, answer, offer);
    call.hang_up(false);
  });
}

TEST_CASE("scenario: an inside proxy may name the phones behind it for the whole call, in answers too that show nothing of it") {
  play([](Stage& stage) {
    Call call(stage, proxied_alice, bob, "names-others");
    call.establish(offer, answer);
    call.transact(false, "UPDATE", {answer}, {offer});  // a 200 to UPDATE has no Record-Route
    call.transact(false, "UPDATE", {answer}, {audio("10.0.0.3", 4400)});
    CHECK(is_open(stage, "10.0.0.3:4400"));
    call.hang_up(true);
    CHECK(is_closed(stage, "10.0.0.3:4400"));
  });
}

TEST_CASE("scenario: the Service-Route of an inside registrar leads the outside phone's requests back to it") {
  play([](Stage& stage) {
    const Party registrar{.user = "registrar", .agent = "10.0.0.10:5060"};
    stage.world.forward("203.0.113.1:5060", registrar.agent);
    stage.lasts = true;
    Call registering(stage, bob, registrar, "reg-in");
    registering.to("sip:203.0.113.1:5060");
    const Request request = registering.send(true, "REGISTER", {{}, "Contact: <sip:bob@203.0.113.2:5060>;expires=300\n"});
    const std::string response = registering.respond(request, "200 OK", {{}, "Service-Route: <sip:orig@10.0.0.10:5060;lr>\nExpires: 300\n"});
    const auto routes = values_of(response, "Service-Route");
    if (stage.works()) CHECK(routes == std::vector<std::string>{"<sip:orig@203.0.113.1:5060;lr>"});
    stage.pass_time(60s);
    if (routes.empty()) return;
    Call call(stage, bob, registrar, "by-service-route");
    call.to("sip:carol@example.net", routes);
    const Request invite = call.send(true, "INVITE", {answer});
    if (stage.works()) CHECK(values_of(invite.arrived, "Route") == std::vector<std::string>{"<sip:orig@10.0.0.10:5060;lr>"});
    call.respond(invite, "200 OK", {audio("10.0.0.10", 4000)});
    call.ack();
    call.hang_up(false);
  });
}
