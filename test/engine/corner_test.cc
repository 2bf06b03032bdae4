// SPDX-License-Identifier: GPL-2.0-or-later
// Corners where a first version went wrong: who is cut, what is brought back, which text returns.
#include <catch2/catch.hpp>

#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const std::string contact_line = "Contact: <sip:alice@10.0.0.2>;expires=600\n";
const std::string granted_line = "Contact: <sip:alice@203.0.113.1>;expires=60\n";

}  // namespace

TEST_CASE("early media that flows is not cut 180 s after the last 1xx") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(with(ok_to_invite, "200 OK", "183 Session Progress")));
  world.kernel.with_flow.insert(ep("203.0.113.1:4000"));
  world.pass_time(20min);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.kernel.with_flow.clear();
  world.pass_time(3min);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("a stale binding of the same endpoint in the answer does not shorten the registration") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(with(ok_to_registration, granted_line,
      "Contact: <sip:alice@203.0.113.1>;expires=3600\nContact: <sip:old@203.0.113.1>;expires=20\n")));
  world.pass_time(30min);
  CHECK(world.engine.registrations(world.now).size() == 1);
}

TEST_CASE("an old Contact removed and a new one added on one endpoint: the new one is registered") {
  World world;
  world.out(phone, provider, sip_text(with(registration, contact_line,
      "Contact: <sip:old@10.0.0.2>;expires=0\nContact: <sip:alice@10.0.0.2>;expires=3600\n")));
  world.delivered(provider, w, sip_text(ok_to_registration));
  CHECK(world.engine.registrations(world.now).size() == 1);
  CHECK(contains(world.delivered(provider, w, sip_text(invite_from_bob)), "INVITE sip:alice@10.0.0.2 "));
}

TEST_CASE("two bindings of one user and endpoint, one removed and one living, in either order: the living one is registered") {
  const std::string old = "Contact: <sip:alice@10.0.0.2;line=old>;expires=0\n", living = "Contact: <sip:alice@10.0.0.2;line=new>;expires=3600\n";
  for (const std::string& both : {old + living, living + old}) {
    World world;
    world.out(phone, provider, sip_text(with(registration, contact_line, both)));
    world.delivered(provider, w, sip_text(with(ok_to_registration, granted_line, "Contact: <sip:alice@203.0.113.1;line=new>;expires=3600\n")));
    world.pass_time(50min);
    CHECK(world.engine.registrations(world.now).size() == 1);
    CHECK(world.door_of(phone));
  }
}

TEST_CASE("the 200 to REGISTER lists the bindings of many devices: our phone's is restored among them, wherever it stands") {
  const auto others = [](int count) {
    std::string lines;
    for (int n = 0; n < count; ++n) lines += "Contact: <sip:alice@198.51.100.7:" + std::to_string(2000 + n) + ">;expires=60\n";
    return lines;
  };
  const std::string ours = "Contact: <sip:alice@10.0.0.2>;expires=60\r\n", given = "Contact: <sip:alice@203.0.113.1>;expires=60\r\n";
  for (const bool first : {true, false}) {
    for (const int count : {17, 62, 100}) {  // limits::contacts are read
      World world;
      world.out(phone, provider, sip_text(registration));
      const std::string lines = first ? granted_line + others(count) : others(count) + granted_line;
      const std::string got = world.delivered(provider, w, sip_text(with(ok_to_registration, granted_line, lines)));
      CHECK(contains(got, "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKr1"));
      const bool is_read = first || count < 100;
      CHECK(contains(got, is_read ? ours : given));
      CHECK(contains(got, "<sip:alice@198.51.100.7:2016>"));
      world.pass_time(80s);
      CHECK(world.door_of(phone));
      world.pass_time(8min);  // not read: so long as it was asked for
      CHECK(world.engine.registrations(world.now).size() == (is_read ? 0 : 1));
    }
  }
}

TEST_CASE("a Via that names another address of the sender stays; the response to its port has a door") {
  World world;
  const std::string options = with(with(with(invite.substr(0, invite.find("Contact")) + "Content-Length: 0\n\n", "INVITE", "OPTIONS"), ";rport", ""), "UDP 10.0.0.2:5060", "UDP 192.168.77.9:5062");
  const std::string got = world.out("10.0.0.2:49152", provider, sip_text(options));
  CHECK(contains(got, "Via: SIP/2.0/UDP 192.168.77.9:5062;branch=z9hG4bK1\r\n"));
  CHECK(world.door_of("10.0.0.2:5062") == ep("203.0.113.1:5062"));
  world.pass_time(40s);
  CHECK(world.doors() == 0);
}

TEST_CASE("the Path of an inside proxy lasts as long as the registration, and its Route comes back") {
  World world;
  world.out(phone, provider, sip_text(with(registration, contact_line, "Contact: <sip:alice@10.0.0.5>;expires=600\nPath: <sip:10.0.0.2;lr>\n")));
  world.delivered(provider, w, sip_text(with(ok_to_registration, granted_line, "Contact: <sip:alice@10.0.0.5>;expires=600\nPath: <sip:203.0.113.1;lr>\n")));
  world.pass_time(5min);
  const std::string call = world.delivered(provider, w, sip_text(with(invite_from_bob, "From:", "Route: <sip:203.0.113.1;lr>\nFrom:")));
  CHECK(contains(call, "Route: <sip:10.0.0.2;lr>\r\n"));
}

TEST_CASE("a 2xx to UPDATE without Session-Expires ends the session timer") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(with(ok_to_invite, "CSeq:", "Session-Expires: 90\nCSeq:")));
  const std::string update = with(with(with(bye_from_bob, "BYE", "UPDATE"), "z9hG4bKb9", "z9hG4bKu1"), "CSeq: 77", "CSeq: 76");
  world.delivered(provider, w, sip_text(update));
  world.out(phone, provider, sip_text(with(with(with(ok_to_bye, "BYE", "UPDATE"), "z9hG4bKb9", "z9hG4bKu1"), "CSeq: 77", "CSeq: 76")));
  world.pass_time(10min);
  CHECK(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("a repeated 200 to INVITE after BYE gets the same bytes and brings nothing back") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  world.delivered(provider, w, sip_text(invite_from_bob));
  const std::string first = world.out(phone, provider, sip_text(ok_from_alice));
  const std::string bye = with(with(with(bye_from_bob, "call-1@10.0.0.2", "call-7"), "tag=b1", "tag=b7"), "tag=a1", "tag=a7");
  const std::string ok = with(with(with(ok_to_bye, "call-1@10.0.0.2", "call-7"), "tag=b1", "tag=b7"), "tag=a1", "tag=a7");
  world.delivered(provider, w, sip_text(bye));
  world.out(phone, provider, sip_text(ok));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.out(phone, provider, sip_text(ok_from_alice)) == first);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  world.pass_time(40s);
  CHECK(world.engine.totals().calls == 0);
}

TEST_CASE("a BYE answered while a re-INVITE is pending ends the call") {
  World world;
  set_up_call(world);
  const std::string again = with(with(with(invite, "z9hG4bK1", "z9hG4bK3"), "CSeq: 1", "CSeq: 2"), "To: <sip:bob@example.net>", "To: <sip:bob@example.net>;tag=b1");
  world.out(phone, "203.0.113.2:5080", sip_text(again));
  hang_up(world);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  world.pass_time(40s);
  CHECK(world.doors() == 0);
}

TEST_CASE("a peer can not have ways out without bound, nor below port 1024") {
  World world;
  set_up_call(world);
  for (int n = 0; n < 300; ++n) {
    const std::string id = std::to_string(n);
    const std::string update = with(with(with(bye_from_bob, "BYE", "UPDATE"), "z9hG4bKb9", "z9hG4bKu" + id), "CSeq: 77", "CSeq: " + std::to_string(100 + n));
    world.delivered(provider, w, sip_text(with(update, "Call-ID", "Contact: <sip:b@203.0.113.2:" + std::to_string(2000 + n) + ">, <sip:b@203.0.113.2:25;transport=tcp>\nCall-ID")));
  }
  CHECK(world.doors() < 50);
  CHECK_FALSE(world.has_way_out("10.0.0.2", "203.0.113.2:25"));
}

TEST_CASE("port/n beyond 65535 is left and vetoes nothing") {
  World world;
  const std::string got = world.out(phone, provider, sip_text(with(invite, "m=audio 4000", "m=video 65534/3 RTP/AVP 31\nm=audio 4000")));
  CHECK(contains(got, "m=video 65534/3"));
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of("10.0.0.2:65534"));
}

TEST_CASE("a flow that is older than the daemon makes nobody a PBX") {
  World world;
  world.forward(w, phone);
  world.in(provider, w, "\r\n\r\n");  // its first packet went by before
  world.delivered(provider, w, sip_text(with(bye_from_bob, "BYE", "OPTIONS")));
  const std::string named = with(invite, "c=IN IP4 10.0.0.2", "c=IN IP4 10.0.0.3");
  world.out(phone, provider, sip_text(named));
  CHECK_FALSE(world.door_of("10.0.0.3:4000"));
}

TEST_CASE("a subscription's doors close 64*T1 after it") {
  World world;
  const std::string subscribe = with(with(invite.substr(0, invite.find("Subject")), "INVITE", "SUBSCRIBE"), "Max-Forwards", "Expires: 60\nMax-Forwards") + "Content-Length: 0\n\n";
  world.out(phone, provider, sip_text(subscribe));
  const std::string ok = with(ok_to_invite.substr(0, ok_to_invite.find("Content-Type")), "INVITE", "SUBSCRIBE") + "Expires: 60\nContent-Length: 0\n\n";
  world.delivered(provider, w, sip_text(ok));
  world.pass_time(59s);
  CHECK(world.door_of(phone));
  world.pass_time(35s);
  CHECK(world.doors() == 0);
}

TEST_CASE("an outside address that is lost and comes back: the doors of living calls are there again, unless taken") {
  World world;
  set_up_call(world);
  const auto living = world.kernel.living;
  world.engine.outside_address_lost(*parse_address("203.0.113.1"));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of(phone));
  world.engine.outside_address_returned(*parse_address("203.0.113.9"));
  CHECK_FALSE(world.door_of(phone));
  world.engine.outside_address_returned(*parse_address("203.0.113.1"));
  CHECK(world.kernel.living.size() == living.size());
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
  CHECK(world.door_of(phone) == ep(w));
  // lost again; another phone is faster
  world.engine.outside_address_lost(*parse_address("203.0.113.1"));
  world.forget_flows();
  const std::string other = with(with(with(invite, "10.0.0.2", "10.0.0.3"), "z9hG4bK1", "z9hG4bKx"), "call-1", "call-2");
  world.out("10.0.0.3:5060", provider, sip_text(other));
  world.engine.outside_address_returned(*parse_address("203.0.113.1"));
  CHECK(world.door_of("10.0.0.3:4000") == ep("203.0.113.1:4000"));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  world.pass_time(3h);
  CHECK(world.doors() == 0);
  CHECK(world.engine.totals().doors == 0);
  CHECK(world.kernel.closed_twice == 0);
}

TEST_CASE("two texts of one endpoint, and two accounts on it, each get their own back") {
  World world;
  const std::string two = "Contact: <sip:a@10.0.0.2>;expires=600\nContact: <sip:b@10.0.0.2:5060>;expires=600\nContact: <sip:b@10.0.0.2>;expires=600\n";
  world.out(phone, provider, sip_text(with(registration, contact_line, two)));
  const std::string listed = "Contact: <sip:a@203.0.113.1>;expires=600\nContact: <sip:b@203.0.113.1:5060>;expires=600\nContact: <sip:b@203.0.113.1>;expires=600\n";
  const std::string got = world.delivered(provider, w, sip_text(with(ok_to_registration, granted_line, listed)));
  CHECK(contains(got, sip_text(two).substr(0, two.size())));
  CHECK(contains(world.delivered(provider, w, sip_text(with(invite_from_bob, "alice@203.0.113.1", "a@203.0.113.1"))), "INVITE sip:a@10.0.0.2 "));
}

TEST_CASE("a Contact the phone wrote with the outside address is not restored") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  const auto second = [](const std::string& text) { return with(with(text, "z9hG4bKr1", "z9hG4bKr2"), "CSeq: 1", "CSeq: 2"); };
  world.out(phone, provider, sip_text(second(with(registration, "alice@10.0.0.2>", "alice@203.0.113.1>"))));
  const std::string got = world.delivered(provider, w, sip_text(second(ok_to_registration)));
  CHECK(contains(got, "Contact: <sip:alice@203.0.113.1>;expires=60"));
  CHECK(contains(got, "received=10.0.0.2"));  // its Via was ours
  CHECK(contains(world.delivered(provider, w, sip_text(invite_from_bob)), "INVITE sip:alice@203.0.113.1 "));
}

TEST_CASE("a name with maddr: the port follows the door and comes back") {
  World world;
  world.kernel.taken.insert(ep(w));
  const std::string named = with(registration, "alice@10.0.0.2>", "alice@phone.lan;maddr=10.0.0.2>");
  const std::string got = world.out("10.0.0.2:7000", provider, sip_text(named));
  const auto door = world.door_of("10.0.0.2:5060");
  REQUIRE(door);
  const std::string given = "alice@phone.lan:" + std::to_string(door->port) + ";maddr=203.0.113.1>";
  CHECK(contains(got, given));
  const std::string via = "Via: SIP/2.0/UDP 203.0.113.1:" + std::to_string(door->port) + ";branch";
  const std::string answer = world.delivered(provider, "203.0.113.1:7000", sip_text(with(with(ok_to_registration,
      "Via: SIP/2.0/UDP 203.0.113.1;branch", via), "alice@203.0.113.1>", given)));
  CHECK(contains(answer, "alice@phone.lan;maddr=10.0.0.2>"));
}

TEST_CASE("several c= in one line: the inside one is mapped with its door, the others stay") {
  World world;
  const std::string got = world.out(phone, provider, sip_text(with(invite, "RTP/AVP 0\n", "RTP/AVP 0\nc=IN IP4 10.0.0.2\nc=IN IP4 224.2.1.1/127\n")));
  CHECK(contains(got, "c=IN IP4 203.0.113.1\r\nc=IN IP4 224.2.1.1/127\r\n"));
  CHECK(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("a muxed line offered without mux when its neighbour port is taken: audio before RTCP") {
  World world;
  const std::string plain = with(invite, "a=rtcp:4001 IN IP4 10.0.0.2\n", "");
  world.out(phone, provider, sip_text(with(plain, "RTP/AVP 0\n", "RTP/AVP 0\na=rtcp-mux-only\na=rtcp-mux\n")));
  CHECK_FALSE(world.door_of("10.0.0.2:4001"));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.kernel.taken.insert(ep("203.0.113.1:4001"));
  const std::string again = with(with(with(plain, "z9hG4bK1", "z9hG4bK3"), "CSeq: 1", "CSeq: 2"), "To: <sip:bob@example.net>", "To: <sip:bob@example.net>;tag=b1");
  const std::string got = world.out(phone, provider, sip_text(again));
  CHECK(contains(got, "c=IN IP4 203.0.113.1"));
  CHECK(contains(got, "m=audio 4000 "));
}

TEST_CASE("without NAT an address in another spelling stays as it is spelled") {
  World::Setup setup;
  setup.nat = false;
  World world(setup);
  const std::string v6 = with(with(with(invite, "IN IP4 10.0.0.2", "IN IP6 fd00:0:0:0:0:0:0:2"), "10.0.0.2", "[fd00::2]"),
                              "a=candidate:1", "a=x-candidate:1");
  CHECK(world.out("[fd00::2]:5060", "[2001:db8::2]:5060", sip_text(v6)) == sip_text(v6));
  CHECK(world.door_of("[fd00::2]:4000"));
}

TEST_CASE("a candidate over TCP with the numbers of a UDP line is another endpoint") {
  World world;
  const std::string tcp = "a=candidate:3 1 TCP 1518280447 10.0.0.2 4000 typ host tcptype passive\n";
  const std::string got = world.out(phone, provider, sip_text(with(invite, "a=candidate:2", tcp + "a=candidate:2")));
  CHECK(contains(got, "TCP 1518280447 10.0.0.2 4000 typ"));
  CHECK(contains(got, "UDP 2130706431 203.0.113.1 4000 typ"));
}

TEST_CASE("a late copy names the ports the call had, although stray RTP of the other side stands there by now") {
  World world;
  const std::string first = world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.out(phone, "203.0.113.2:5080", sip_text(ack));
  hang_up(world);
  const std::size_t doors = world.doors();
  for (const char* stray : {"203.0.113.1:4000", "203.0.113.1:4001"}) world.kernel.taken.insert(ep(stray));
  CHECK(world.out(phone, provider, sip_text(invite)) == first);
  CHECK(world.doors() == doors);
  const std::string next = world.out(phone, provider, sip_text(with(with(invite, "call-1@", "call-2@"), "z9hG4bK1;", "z9hG4bK9;")));
  CHECK_FALSE(contains(next, "m=audio 4000 "));  // a new call does need its port
}

TEST_CASE("a call in: repeated INVITE, CANCEL and the ACK of a refusal get the INVITE's Request-URI, whatever was learnt since") {
  World world;
  world.forward(w, phone);
  const std::string first = sip_text(invite_from_bob);
  CHECK(world.delivered(provider, w, first) == first);
  world.out(phone, provider, sip_text(R"(
SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKi1
From: <sip:bob@example.net>;tag=b7
To: <sip:alice@example.net>;tag=p1
Call-ID: call-7
CSeq: 1 INVITE
Contact: <sip:alice@10.0.0.2:5060>
Content-Length: {length}
)"));
  CHECK(world.delivered(provider, w, first) == first);
  for (const char* method : {"CANCEL", "ACK"}) {
    const std::string follows = sip_text(with(with(invite_from_bob, "INVITE", method), "To: <sip:alice@example.net>", "To: <sip:alice@example.net>;tag=p1"));
    CHECK(contains(world.delivered(provider, w, follows), std::string(method) + " sip:alice@203.0.113.1 SIP/2.0\r\n"));
  }
}

TEST_CASE("a BYE to one branch of a fork that nobody answers ends that branch alone") {
  World world;
  world.out(phone, provider, sip_text(invite));
  for (const char* tag : {"b1", "b2"}) {
    const std::string answered = with(ok_to_invite, "tag=b1", std::string("tag=") + tag);
    world.delivered(provider, w, sip_text(answered));
    world.out(phone, "203.0.113.2:5080", sip_text(with(ack, "tag=b1", std::string("tag=") + tag)));
  }
  const std::string bye = with(with(ack, "ACK", "BYE"), "1 BYE", "2 BYE");  // to b1, which never answers
  world.out(phone, "203.0.113.2:5080", sip_text(bye));
  world.pass_time(std::chrono::minutes{2});
  REQUIRE(world.engine.calls(world.now).size() == 1);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.out(phone, "203.0.113.2:5080", sip_text(with(with(bye, "tag=b1", "tag=b2"), "2 BYE", "3 BYE")));
  world.pass_time(std::chrono::minutes{2});
  CHECK(world.doors() == 0);
}

TEST_CASE("a peer whose Contact is a name may hang up from the address the ACK went to, also where another phone has the port outside") {
  World world;
  world.out("10.0.0.3:5060", provider, sip_text(with(with(invite, "10.0.0.2", "10.0.0.3"), "call-1", "call-of-another")));
  world.out(phone, provider, sip_text(invite));
  const std::string outside = to_string(*world.door_of(phone));
  REQUIRE(outside != w);
  const auto seen = [&](const std::string& text) { return sip_text(with(with(text, w, outside), "bob@203.0.113.2:5080", "bob@sbc.example.net")); };
  world.delivered(provider, outside, seen(ok_to_invite));
  CHECK_FALSE(world.in("203.0.113.7:5060", outside, seen(bye_from_bob)));
  world.out(phone, "203.0.113.7:5060", seen(ack));
  CHECK(contains(world.delivered("203.0.113.7:5060", outside, seen(bye_from_bob)), "BYE sip:alice@10.0.0.2:5060;ob "));
  world.out(phone, "203.0.113.7:5060", sip_text(ok_to_bye));
  world.pass_time(40s);
  CHECK_FALSE(world.door_of(phone));
}

TEST_CASE("an ACK to a 2xx with the branch of its INVITE, or none: Request-URI and Route come back, a late offer is answered") {
  for (const std::string branch : {";branch=z9hG4bKi1", ";branch=7", ""}) {
    INFO("branch: " << branch);
    const auto seen = [&](const std::string& text) { return sip_text(with(text, ";branch=z9hG4bKi1", branch)); };
    World world;
    world.out(phone, provider, sip_text(registration));
    world.delivered(provider, w, sip_text(ok_to_registration));
    world.delivered(provider, w, seen(invite_from_bob.substr(0, invite_from_bob.find("Content-Type")) + "Content-Length: {length}\n"));
    const std::string routed = "Contact: <sip:alice@10.0.0.2:5066>\nRecord-Route: <sip:10.0.0.2:5068;lr>";
    world.out(phone, provider, seen(with(ok_from_alice, "Contact: <sip:alice@10.0.0.2>", routed)));
    const std::string ack_with_answer = with(with(with(invite_from_bob, "INVITE", "ACK"), "sip:alice@203.0.113.1 ", "sip:alice@203.0.113.1:5066 "),
        "To: <sip:alice@example.net>", "To: <sip:alice@example.net>;tag=a7\nRoute: <sip:203.0.113.1:5068;lr>");
    const std::string arrived = world.delivered(provider, w, seen(ack_with_answer));
    CHECK(contains(arrived, "ACK sip:alice@10.0.0.2:5066 "));
    CHECK(contains(arrived, "Route: <sip:10.0.0.2:5068;lr>"));
    CHECK(world.delivered(provider, w, seen(ack_with_answer)) == arrived);
    CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
    const auto asks_again = [&](int cseq, int port) {
      const std::string number = std::to_string(cseq);
      const auto numbered = [&](const std::string& text) { return seen(with(with(text, "CSeq: 1 ", "CSeq: " + number + " "), "bKi1", "bKi" + number)); };
      world.delivered(provider, w, numbered(with(invite_from_bob.substr(0, invite_from_bob.find("Content-Type")) + "Content-Length: {length}\n",
          "To: <sip:alice@example.net>", "To: <sip:alice@example.net>;tag=a7")));
      world.out(phone, provider, numbered(with(ok_from_alice, "m=audio 4000", "m=audio " + std::to_string(port))));
      world.delivered(provider, w, numbered(ack_with_answer));
    };
    asks_again(2, 4010);
    world.pass_time(40s);
    CHECK_FALSE(world.door_of("10.0.0.2:4000"));
    CHECK(world.door_of("10.0.0.2:4010"));
  }
}

TEST_CASE("a REFER names where our side will send: there is a way out, as for a redirection") {
  World world;
  set_up_call(world);
  const std::string refer = with(with(bye_from_bob, "BYE", "REFER"), "CSeq: 77", "Contact: <sip:bob@203.0.113.2:5080>\nRefer-To: <sip:carol@203.0.113.4:5070?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\nCSeq: 77");
  world.delivered("203.0.113.2:5080", w, sip_text(refer));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.4:5070"));
  world.out(phone, "203.0.113.2:5080", sip_text(with(with(ok_to_bye, "200 OK", "202 Accepted"), "BYE", "REFER")));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.4:5070"));
  world.pass_time(40s);
  CHECK_FALSE(world.has_way_out("10.0.0.2", "203.0.113.4:5070"));
}
