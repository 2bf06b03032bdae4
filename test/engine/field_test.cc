// SPDX-License-Identifier: GPL-2.0-or-later
// What phones, PBXs and registrars do beside the ordinary call, each a test of its own.
#include <catch2/catch.hpp>

#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string reinvite(const std::string& first = invite) {
  return with(with(with(first, "z9hG4bK1", "z9hG4bK5"), "CSeq: 1", "CSeq: 2"), "To: <sip:bob@example.net>\n", "To: <sip:bob@example.net>;tag=b1\n");
}
std::string ok_to_reinvite() { return with(with(ok_to_invite, "z9hG4bK1", "z9hG4bK5"), "CSeq: 1", "CSeq: 2"); }

std::string line(const std::string& text, std::string_view begin) {
  const auto at = text.find(begin);
  return at == std::string::npos ? "none" : text.substr(at, text.find("\r\n", at) - at);
}

const std::string subscribe = R"(
SUBSCRIBE sip:bob@example.net SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKs1;rport
From: "Alice" <sip:alice@example.net>;tag=s1
To: <sip:bob@example.net>
Call-ID: sub-1
CSeq: 1 SUBSCRIBE
Contact: <sip:alice@10.0.0.2:5070>
Event: dialog
Expires: 3600
Content-Length: {length}
)";
const std::string ok_to_subscribe = R"(
SIP/2.0 200 OK
Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bKs1;received=203.0.113.1;rport=5060
From: "Alice" <sip:alice@example.net>;tag=s1
To: <sip:bob@example.net>;tag=t1
Call-ID: sub-1
CSeq: 1 SUBSCRIBE
Contact: <sip:bob@203.0.113.2:5060>
Expires: 3600
Content-Length: {length}
)";
std::string second(const std::string& text) { return with(with(text, "z9hG4bKs1", "z9hG4bKs2"), "CSeq: 1", "CSeq: 2"); }
std::string refused(const std::string& ok, const std::string& status) {
  return with(with(ok, "200 OK", status), "Contact: <sip:bob@203.0.113.2:5060>\nExpires: 3600\n", "");
}

}  // namespace

TEST_CASE("a phone that wrote the outside address once, and registers with its own: its Request-URI comes back") {
  World world;
  const std::string options = with(with(invite.substr(0, invite.find("Subject")) + "Content-Length: 0\n\n", "INVITE", "OPTIONS"),
                                   "alice@10.0.0.2:5060;ob", "alice@203.0.113.1:5060");
  world.out(phone, provider, sip_text(options));
  world.pass_time(1h);
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  CHECK(contains(world.delivered(provider, w, sip_text(invite_from_bob)), "INVITE sip:alice@10.0.0.2 SIP/2.0"));
}

TEST_CASE("a proxy inside that passed on another's outside address has its Path back as Route") {
  World world;
  world.out(phone, provider, sip_text(with(registration, "Contact: <sip:alice@10.0.0.2>;expires=600\n",
                                           "Contact: <sip:alice@10.0.0.5>;expires=600\nPath: <sip:10.0.0.2;lr>\n")));
  world.delivered(provider, w, sip_text(with(ok_to_registration, "Contact: <sip:alice@203.0.113.1>;expires=60\n",
                                             "Contact: <sip:alice@10.0.0.5>;expires=600\nPath: <sip:203.0.113.1;lr>\n")));
  world.delivered(provider, w, sip_text(with(invite_from_bob, "call-7", "call-6")));
  world.out(phone, provider, sip_text(with(with(ok_from_alice, "call-7", "call-6"), "Contact: <sip:alice@10.0.0.2>", "Contact: <sip:carol@203.0.113.1:61000>")));
  const std::string call = world.delivered(provider, w, sip_text(with(with(invite_from_bob, "z9hG4bKi1", "z9hG4bKi2"), "From:", "Route: <sip:203.0.113.1;lr>\nFrom:")));
  CHECK(contains(call, "Route: <sip:10.0.0.2;lr>\r\n"));
}

TEST_CASE("a registrar that lists the binding as it sees it: the phone stays registered for the time it asked for") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  const auto again = [](const std::string& text) { return with(with(text, "z9hG4bKr1", "z9hG4bKr2"), "CSeq: 1", "CSeq: 2"); };
  world.pass_time(30s);
  world.out(phone, provider, sip_text(again(registration)));
  world.delivered(provider, w, sip_text(again(with(ok_to_registration, "alice@203.0.113.1>;expires=60", "alice@198.51.100.1:32000>;expires=600"))));
  world.pass_time(5min);
  world.forget_flows();
  CHECK(world.engine.registrations(world.now).size() == 1);
  CHECK(world.in(provider, w, sip_text(invite_from_bob)));
}

TEST_CASE("a call that time ended: the phone's re-INVITE after that has its doors") {
  World world;
  set_up_call(world);
  world.pass_time(1h + 10s);
  world.out(phone, "203.0.113.2:5080", sip_text(reinvite()));
  world.delivered("203.0.113.2:5080", w, sip_text(ok_to_reinvite()));
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(3h);
  CHECK(world.doors() == 0);
}

TEST_CASE("a subscription that is challenged and asked for again much later lives") {
  World world;
  world.out(phone, provider, sip_text(subscribe));
  world.delivered(provider, w, sip_text(refused(ok_to_subscribe, "407 Proxy Authentication Required")));
  world.pass_time(31s);
  world.out(phone, provider, sip_text(second(subscribe)));
  world.pass_time(1500ms);
  world.delivered(provider, w, sip_text(second(ok_to_subscribe)));
  world.pass_time(60s);
  CHECK(world.door_of("10.0.0.2:5070"));
  world.pass_time(2h);
  CHECK(world.doors() == 0);
}

TEST_CASE("a subscription that is asked for again and never answered leaves nothing") {
  World world;
  world.out(phone, provider, sip_text(subscribe));
  world.delivered(provider, w, sip_text(refused(ok_to_subscribe, "407 Proxy Authentication Required")));
  for (int n = 0; n < 3; ++n) {
    world.pass_time(20s);
    world.out(phone, provider, sip_text(with(second(subscribe), "z9hG4bKs2", "z9hG4bKt" + std::to_string(n))));
  }
  world.pass_time(5min);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().transactions == 0);
}

TEST_CASE("a subscription whose refresh or NOTIFY is answered by 481 is over") {
  for (const bool by_notify : {false, true}) {
    World world;
    world.out(phone, provider, sip_text(by_notify ? with(subscribe, "SUBSCRIBE", "SUBSCRIBE") : subscribe));
    world.delivered(provider, w, sip_text(ok_to_subscribe));
    world.pass_time(10min);
    const std::string in_dialog = with(second(by_notify ? with(subscribe, "SUBSCRIBE", "NOTIFY") : subscribe), "To: <sip:bob@example.net>\n", "To: <sip:bob@example.net>;tag=t1\n");
    world.out(phone, provider, sip_text(by_notify ? with(in_dialog, "Expires: 3600\n", "Subscription-State: active;expires=3000\n") : in_dialog));
    CHECK(world.door_of("10.0.0.2:5070"));
    const std::string gone = second(refused(ok_to_subscribe, "481 Subscription does not exist"));
    world.delivered(provider, w, sip_text(by_notify ? with(gone, "SUBSCRIBE", "NOTIFY") : gone));
    world.pass_time(70s);
    CHECK(world.doors() == 0);
  }
}

TEST_CASE("PRACK with SDP of a dialog that was not seen to begin is mapped") {
  World world;
  const std::string got = world.out(phone, provider, sip_text(with(with(reinvite(), "INVITE", "PRACK"), "Subject:", "RAck: 1 1 INVITE\nSubject:")));
  CHECK(contains(got, "c=IN IP4 203.0.113.1"));
}

TEST_CASE("an answer that accepts rtcp-mux and has a line for RTCP all the same opens no door for that") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  world.delivered(provider, w, sip_text(invite_from_bob + "a=rtcp-mux\n"));
  const std::string got = world.out(phone, provider, sip_text(ok_from_alice + "a=rtcp:4001 IN IP4 10.0.0.2\na=rtcp-mux\n"));
  CHECK_FALSE(contains(got, "10.0.0.2"));
  world.pass_time(60s);
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of("10.0.0.2:4001"));
}

TEST_CASE("bindings of one endpoint over UDP and TCP are two: each lives and goes for itself") {
  const auto by_tcp = [](const std::string& text) {
    return with(with(with(with(text, "reg-1", "reg-2"), "UDP", "TCP"), "alice@10.0.0.2>", "alice@10.0.0.2:5060;transport=tcp>"), "alice@203.0.113.1>;expires=60",
                "alice@203.0.113.1>;expires=600\nContact: <sip:alice@203.0.113.1:5060;transport=tcp>;expires=600");
  };
  const std::string long_ok = with(ok_to_registration, "expires=60", "expires=600");
  SECTION("both in turn") {
    World world;
    world.out(phone, provider, sip_text(registration));
    world.delivered(provider, w, sip_text(long_ok));
    world.protocol = Protocol::tcp;
    world.out("10.0.0.2:49152", provider, sip_text(by_tcp(registration)));
    world.delivered(provider, "203.0.113.1:49152", sip_text(by_tcp(ok_to_registration)));
    world.pass_time(40s);
    world.protocol = Protocol::udp;
    world.forget_flows();
    CHECK(world.in(provider, w, sip_text(invite_from_bob)));
  }
  SECTION("one is taken back") {
    World world;
    world.out(phone, provider, sip_text(registration));
    world.delivered(provider, w, sip_text(long_ok));
    world.pass_time(10s);
    const auto other = [](const std::string& text) { return with(with(text, "reg-1", "reg-2"), "z9hG4bKr1", "z9hG4bKr2"); };
    world.out(phone, provider, sip_text(with(other(registration), "alice@10.0.0.2>;expires=600", "alice@10.0.0.2;transport=tcp>;expires=0")));
    world.delivered(provider, w, sip_text(with(other(ok_to_registration), "expires=60", "expires=590")));
    world.pass_time(40s);
    CHECK(world.door_of(phone));
  }
}

TEST_CASE("a PBX holds its phone's line by 0.0.0.0: the phone's doors stay, the PBX gets none") {
  World::Setup setup;
  setup.pbx = {"10.0.0.2"};
  World world(setup);
  world.kernel.taken.insert(ep("203.0.113.1:4000"));
  std::string first = with(invite, "c=IN IP4 10.0.0.2", "c=IN IP4 10.0.0.7");
  first = first.substr(0, first.find("a=rtcp"));
  const std::string offered = world.out(phone, provider, sip_text(first));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.out(phone, "203.0.113.2:5080", sip_text(ack));
  const std::string held = world.out(phone, "203.0.113.2:5080", sip_text(with(reinvite(first), "c=IN IP4 10.0.0.7", "c=IN IP4 0.0.0.0")));
  world.delivered("203.0.113.2:5080", w, sip_text(ok_to_reinvite()));
  CHECK(line(offered, "m=audio") == line(held, "m=audio"));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  world.pass_time(3min);
  CHECK(world.door_of("10.0.0.7:4000"));
  const std::string resumed = world.out(phone, "203.0.113.2:5080", sip_text(with(with(reinvite(first), "z9hG4bK5", "z9hG4bK6"), "CSeq: 2", "CSeq: 3")));
  CHECK(line(offered, "m=audio") == line(resumed, "m=audio"));
}

TEST_CASE("hold by 0.0.0.0: the RTCP line keeps its number, too") {
  World world;
  world.kernel.taken.insert(ep("203.0.113.1:4000")), world.kernel.taken.insert(ep("203.0.113.1:4001"));
  const std::string offered = world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  const std::string held = world.out(phone, "203.0.113.2:5080", sip_text(with(reinvite(), "c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0")));
  CHECK(line(offered, "m=audio") == line(held, "m=audio"));
  CHECK(line(offered, "a=rtcp") == line(held, "a=rtcp"));
}

TEST_CASE("a phone with STUN holds by 0.0.0.0: nothing of its SDP changes, and no door opens") {
  World world;
  world.kernel.taken.insert(ep("203.0.113.1:61004"));
  std::string first = with(with(with(invite, "IN IP4 10.0.0.2", "IN IP4 203.0.113.1"), "m=audio 4000", "m=audio 61004"), "10.0.0.2:5060;ob", "203.0.113.1:5060;ob");
  first = first.substr(0, first.find("a=rtcp"));
  world.out(phone, provider, sip_text(first));
  world.delivered(provider, w, sip_text(ok_to_invite));
  const std::string held = world.out(phone, "203.0.113.2:5080", sip_text(with(reinvite(first), "c=IN IP4 203.0.113.1", "c=IN IP4 0.0.0.0")));
  CHECK(line(held, "m=audio") == "m=audio 61004 RTP/AVP 0");
  CHECK_FALSE(world.door_of("10.0.0.2:61004"));
}

TEST_CASE("From of a dialog is what its first request said, whatever uplink the host takes by now") {
  World world;
  set_up_call(world);
  world.engine.outside_address_lost(*parse_address("203.0.113.1"));
  world.forget_flows();
  world.uplink = "203.0.113.200";
  const std::string got = world.out(phone, "203.0.113.2:5080", sip_text(reinvite()));
  CHECK(contains(got, "Contact: <sip:alice@203.0.113.200"));
  CHECK(contains(got, "From: \"Alice\" <sip:alice@203.0.113.1>;tag=a1"));
}

TEST_CASE("a phone whose display name has no quotes registers and calls") {
  World world;
  const std::string mine = with(registration, "Contact: <", "Contact: J\xc3\xb6rg & Co. <");
  CHECK(contains(world.out(phone, provider, sip_text(mine)), "Contact: J\xc3\xb6rg & Co. <sip:alice@203.0.113.1"));
  const std::string called = world.out(phone, provider, sip_text(with(invite, "From: \"Alice\" <", "From: Smith, Alice <")));
  CHECK(contains(called, "From: Smith, Alice <sip:alice@203.0.113.1>;tag=a1"));
  CHECK(contains(called, "c=IN IP4 203.0.113.1"));
}

TEST_CASE("where the other parser refuses a field, its name is counted") {
  World world;
  const std::string odd = with(registration, "Contact: <", "Contact: J\xc3\xb6rg > <");
  CHECK(world.out(phone, provider, sip_text(odd)) == sip_text(odd));
  const Stats stats = world.engine.stats();
  CHECK(stats.of_groups(Reason::opinion_unreadable) == 1);
  CHECK(stats.opinions_unreadable[static_cast<std::size_t>(DoorField::contact)] == 1);
  CHECK(stats.opinions_unreadable[static_cast<std::size_t>(DoorField::via)] == 0);
}
