// SPDX-License-Identifier: GPL-2.0-or-later
// The service switched in the middle of things: what is up goes on, what is new passes untouched.
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/parties.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

SipService service_on(std::vector<uint16_t> ports, std::set<uint16_t> removed = {}) {
  SipService service;
  service.udp = {true, std::move(ports), std::move(removed)};
  return service;
}
SipService service_off() {
  SipService service = service_on({5060});
  service.udp.on = false;
  return service;
}

// The messages of a second phone's call and registration.
std::string other(std::string text) {
  return sip_text(with(with(with(with(text, "10.0.0.2", "10.0.0.3"), "call-1", "call-2"), "z9hG4bK", "z9hG4bKo"), "reg-1", "reg-2"));
}

void passes_untouched(World& world, std::string_view inside, std::string_view remote, const std::string& message) {
  const std::size_t doors = world.doors();
  const auto transactions = world.engine.totals().transactions;
  const auto counted = world.stats().of_packets(Reason::service_off);
  CHECK(world.out(inside, remote, message) == message);
  CHECK(world.verdict.reason == Reason::service_off);
  CHECK(world.stats().of_packets(Reason::service_off) == counted + 1);
  CHECK(world.doors() == doors);
  CHECK(world.engine.totals().transactions == transactions);
}

// The rest of the call that `invite` began, from its 200 on; every message as if nothing had been switched.
void call_goes_on(World& world, const std::string& remote) {
  CHECK(world.delivered(remote, w, sip_text(ok_to_invite)).find("alice@10.0.0.2>") != std::string::npos);
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
  CHECK(world.out(phone, "203.0.113.2:5080", sip_text(ack)) ==
        sip_text(with(with(ack, "UDP 10.0.0.2", "UDP 203.0.113.1"), "alice@10.0.0.2", "alice@203.0.113.1")));
  world.forget_flows();
  CHECK(world.delivered("203.0.113.2:5080", w, sip_text(bye_from_bob)) ==
        sip_text(with(with(bye_from_bob, "sip:alice@203.0.113.1:5060", "sip:alice@10.0.0.2:5060"), "<sip:alice@203.0.113.1>",
                      "<sip:alice@10.0.0.2>")));
  CHECK(world.door_of("10.0.0.2:4000"));
  world.out(phone, "203.0.113.2:5080", sip_text(ok_to_bye));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
}

}  // namespace

TEST_CASE("service off in the middle of a call: its BYE is restored and closes its doors, a new INVITE passes untouched") {
  World world;
  world.engine.set_service(service_on({5060}));
  const std::string mapped = world.out(phone, provider, sip_text(invite));
  world.engine.set_service(service_off());
  CHECK(world.out(phone, provider, sip_text(invite)) == mapped);  // a retransmission
  passes_untouched(world, "10.0.0.3:5060", provider, other(invite));
  passes_untouched(world, "10.0.0.3:5060", provider, other(registration));
  call_goes_on(world, provider);
  CHECK(world.engine.needs_port(Protocol::udp, 5060, {}));
  world.pass_time(33s);
  CHECK_FALSE(world.engine.needs_port(Protocol::udp, 5060, {}));
  CHECK(world.doors() == 0);
  passes_untouched(world, phone, provider, sip_text(with(invite, "z9hG4bK1", "z9hG4bK8")));
}

TEST_CASE("a removed port lets its calls finish; another port goes on serving") {
  World world;
  world.engine.set_service(service_on({5060, 5070}));
  world.out(phone, provider, sip_text(invite));
  world.engine.set_service(service_on({5070}, {5060}));
  passes_untouched(world, "10.0.0.3:5060", provider, other(invite));
  call_goes_on(world, provider);
  CHECK_FALSE(world.engine.needs_port(Protocol::udp, 5070, {}));
  const std::string on_5070 = world.out("10.0.0.3:5060", "203.0.113.2:5070", other(invite));
  CHECK(on_5070.find("IN IP4 203.0.113.1") != std::string::npos);
  CHECK(world.engine.needs_port(Protocol::udp, 5070, {}));
  world.engine.clear_call("call-1@10.0.0.2", world.now);
  const std::vector<uint16_t> in_service{5070};
  CHECK(world.engine.needs_port(Protocol::udp, 5060, {}));  // the second phone's own port
  CHECK_FALSE(world.engine.needs_port(Protocol::udp, 5060, in_service));  // but the provider's 5070 brings its packets
  CHECK_FALSE(world.engine.needs_port(Protocol::tcp, 5060, {}));
}

TEST_CASE("a registration that is known is refreshed and ended while the service is off, an unknown one is not begun") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  world.engine.set_service(service_off());
  passes_untouched(world, "10.0.0.3:5060", provider, other(registration));  // the same AOR, another phone
  world.pass_time(30s);
  const std::string refresh = with(with(registration, "z9hG4bKr1", "z9hG4bKr2"), "1 REGISTER", "2 REGISTER");
  CHECK(world.out(phone, provider, sip_text(refresh)).find("<sip:alice@203.0.113.1>") != std::string::npos);
  const std::string ok = with(with(ok_to_registration, "z9hG4bKr1", "z9hG4bKr2"), "1 REGISTER", "2 REGISTER");
  CHECK(world.delivered(provider, w, sip_text(ok)).find("<sip:alice@10.0.0.2>") != std::string::npos);
  CHECK(world.engine.registrations(world.now).front().remaining > 90'000);
  CHECK(world.engine.needs_port(Protocol::udp, 5060, {}));
  SECTION("a query asks nothing of the registration but its Contacts") {
    const std::string query = with(with(refresh, "Contact: <sip:alice@10.0.0.2>;expires=600\n", ""), "z9hG4bKr2", "z9hG4bKr3");
    CHECK(world.out(phone, provider, sip_text(query)).find("UDP 203.0.113.1") != std::string::npos);
  }
  SECTION("the phone ends it by `*`, and is a stranger afterwards") {
    const std::string all = with(with(with(refresh, "<sip:alice@10.0.0.2>;expires=600", "*\nExpires: 0"), "z9hG4bKr2", "z9hG4bKr4"),
                                 "2 REGISTER", "3 REGISTER");
    CHECK(world.out(phone, provider, sip_text(all)).find("UDP 203.0.113.1") != std::string::npos);
    std::string gone = with(with(ok_to_registration, "z9hG4bKr1", "z9hG4bKr4"), "1 REGISTER", "3 REGISTER");
    gone = with(gone, "Contact: <sip:alice@203.0.113.1>;expires=60\n", "");
    world.delivered(provider, w, sip_text(gone));
    CHECK(world.engine.registrations(world.now).empty());
    passes_untouched(world, phone, provider, sip_text(with(refresh, "z9hG4bKr2", "z9hG4bKr5")));
  }
  SECTION("an administrator clears it") {
    CHECK(world.engine.clear_registrations(world.now) == 1);
    world.pass_time(10s);  // its transactions
    passes_untouched(world, phone, provider, sip_text(with(refresh, "z9hG4bKr2", "z9hG4bKr6")));
    CHECK_FALSE(world.engine.needs_port(Protocol::udp, 5060, {}));
  }
}

TEST_CASE("a call to a registered phone is a new call: off, it and its answer pass untouched and open nothing") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  world.engine.set_service(service_off());
  const std::size_t doors = world.doors();
  CHECK(world.delivered(provider, w, sip_text(invite_from_bob)) == sip_text(invite_from_bob));
  CHECK(world.verdict.reason == Reason::service_off);
  CHECK(world.out(phone, provider, sip_text(ok_from_alice)) == sip_text(ok_from_alice));
  CHECK(world.verdict.reason == Reason::service_off);
  CHECK(world.doors() == doors);
  world.engine.set_service(service_on({5060}));
  const std::string next = with(with(invite_from_bob, "call-7", "call-8"), "z9hG4bKi1", "z9hG4bKi2");
  CHECK(world.delivered(provider, w, sip_text(next)) == sip_text(with(next, "alice@203.0.113.1", "alice@10.0.0.2")));
}

TEST_CASE("an attempt that was asked for credentials goes on with them when the service is off") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.engine.set_service(service_off());
  world.delivered(provider, w, sip_text(R"(
SIP/2.0 407 Proxy Authentication Required
Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1
From: "Alice" <sip:alice@203.0.113.1>;tag=a1
To: <sip:bob@example.net>;tag=p1
Call-ID: call-1@10.0.0.2
CSeq: 1 INVITE
Content-Length: {length}
)"));
  const std::string again = with(with(invite, "z9hG4bK1", "z9hG4bK12"), "1 INVITE", "2 INVITE");
  CHECK(world.out(phone, provider, sip_text(again)).find("m=audio 4000") != std::string::npos);
  CHECK(world.verdict.edited());
}

TEST_CASE("off, a response without its request and an in-dialog request of an unknown dialog pass untouched") {
  World world;
  world.engine.set_service(service_off());
  passes_untouched(world, phone, provider, sip_text(invite));
  CHECK(world.delivered(provider, w, sip_text(ok_to_invite)) == sip_text(ok_to_invite));
  CHECK(world.verdict.reason == Reason::service_off);
  passes_untouched(world, phone, provider, sip_text(ack));
  passes_untouched(world, phone, provider, sip_text(with(with(ack, "ACK", "UPDATE"), "z9hG4bK2", "z9hG4bK3")));
}

TEST_CASE("on again, the next call is mapped; the one that began untouched is not taken up by its ACK") {
  World world;
  world.engine.set_service(service_off());
  passes_untouched(world, phone, provider, sip_text(invite));
  world.engine.set_service(service_on({5060}));
  CHECK(world.delivered(provider, w, sip_text(ok_to_invite)) == sip_text(ok_to_invite));
  CHECK(world.out(phone, provider, sip_text(ack)) == sip_text(ack));
  CHECK(world.out("10.0.0.3:5060", provider, other(invite)).find("IN IP4 203.0.113.1") != std::string::npos);
}

TEST_CASE("which flows are in service: by the ports that steering asks for, else by what was taken away") {
  struct Row {
    const char *inside, *outside, *remote;
    bool begun_inside, taken;
  };
  const Row rows[] = {
      {"10.0.0.2:5070", "203.0.113.1:5070", "203.0.113.2:5080", true, true},    // source of a request out
      {"10.0.0.2:40000", "203.0.113.1:40000", "203.0.113.2:5070", true, true},  // its destination
      {"10.0.0.2:5060", "203.0.113.1:5060", "203.0.113.2:5070", true, true},    // one of two is enough
      {"10.0.0.2:40000", "203.0.113.1:5070", "203.0.113.2:5060", true, false},  // what masquerade chose is nobody's port
      {"10.0.0.9:5060", "203.0.113.1:5070", "203.0.113.2:9999", false, true},   // a port forwarding from 5070
      {"10.0.0.9:5060", "203.0.113.1:6000", "203.0.113.2:9999", false, false},
      {"10.0.0.2:6000", "203.0.113.1:6000", "203.0.113.2:5080", true, true},    // only a door's endpoint brought it
  };
  const SipService service = service_on({5070}, {5060});
  for (const Row& row : rows) {
    INFO(row.inside << " " << row.outside << " " << row.remote);
    const FlowEnd own{ep(row.inside), ep(row.outside)}, remote{ep(row.remote), ep(row.remote)};
    CHECK(service.takes({Protocol::udp, own, remote, 0, row.begun_inside, false}) == row.taken);
    CHECK(service.takes({Protocol::udp, remote, own, 0, !row.begun_inside, false}) == row.taken);
    CHECK(service.takes({Protocol::tcp, own, remote, 0, row.begun_inside, false}));
  }
  CHECK(SipService{}.takes({Protocol::udp, {ep(phone), ep(w)}, {ep(provider), ep(provider)}, 0, true, false}));
}

TEST_CASE("switched off with each kernel operation failing in turn: no door is left, retransmissions are treated alike") {
  for (std::size_t n = 1; n < 30; ++n) {
    World world;
    world.kernel.fail_at(n);
    const std::string first = world.out(phone, provider, sip_text(invite));
    world.engine.set_service(service_off());
    CHECK(world.out(phone, provider, sip_text(invite)) == first);
    world.in(provider, w, sip_text(ok_to_invite));
    world.out(phone, "203.0.113.2:5080", sip_text(ack));
    world.in("203.0.113.2:5080", w, sip_text(bye_from_bob));
    world.out(phone, "203.0.113.2:5080", sip_text(ok_to_bye));
    world.pass_time(26h);
    CHECK(world.doors() == 0);
    CHECK(world.kernel.closed_twice == 0);
    CHECK(world.engine.totals().doors == 0);
    CHECK_FALSE(world.engine.needs_port(Protocol::udp, 5060, {}));
  }
}

TEST_CASE("scenario: off, or its port removed, in the middle of a call: the call goes on to its end, a new one passes untouched") {
  play([](Stage& stage) {
    for (const bool off : {true, false}) {
      stage.world.engine.set_service(service_on({5060}));
      Call call(stage, alice, bob, off ? "off" : "removed"), next(stage, carol, bob, off ? "next" : "next-removed");
      call.establish(offer, answer);
      stage.world.engine.set_service(off ? service_off() : service_on({5070}, {5060}));
      const Request invite = next.send(true, "INVITE", {audio("10.0.0.3", 4300)});
      CHECK(invite.arrived == invite.sent);
      next.ack_failure(invite, next.respond(invite, "486 Busy Here"));
      call.reinvite(true, offer, answer);
      call.reinvite(false, answer, offer);
      CHECK(is_open(stage));
      stage.world.forget_flows();
      call.hang_up(off);
      CHECK(is_closed(stage));
      stage.pass_time(5s);  // nobody repeats what passed untouched
    }
    stage.world.engine.set_service(service_on({5060}));
    Call again(stage, alice, bob, "on-again");
    again.establish(offer, answer);
    CHECK(is_open(stage));
    again.hang_up(false);
  });
}

TEST_CASE("scenario: a port that is added is served from the next call on") {
  play([](Stage& stage) {
    const Party other_port{.user = "bob", .agent = "203.0.113.2:5070"}, phone_5070{.user = "alice", .agent = "10.0.0.2:5070"};
    stage.world.engine.set_service(service_on({5060}, {5070}));
    Call before(stage, phone_5070, other_port, "before");
    const Request invite = before.send(true, "INVITE", {offer});
    CHECK(invite.arrived == invite.sent);
    before.ack_failure(invite, before.respond(invite, "486 Busy Here"));
    stage.pass_time(5s);
    stage.world.engine.set_service(service_on({5060, 5070}));
    Call after(stage, phone_5070, other_port, "after");
    after.establish(offer, answer);
    CHECK(is_open(stage));
    after.hang_up(true);
  });
}
