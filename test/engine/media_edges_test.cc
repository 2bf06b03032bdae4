// SPDX-License-Identifier: GPL-2.0-or-later
// Where a rule of media, ports and times ends (sip-rules sections 6, 8 and 9): what is just no stream of ours, just no free port,
// just over. As in edges_test.cc each could be taken out, and no other test saw it.
#include <catch2/catch.hpp>

#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string with_body(const std::string& message, std::string_view body) { return message.substr(0, message.find("v=0")) + std::string(body); }

// Of the phone, in the call of set_up_call().
std::string reinvite(const std::string& changed = invite) {
  return with(with(with(changed, "z9hG4bK1", "z9hG4bK5"), "CSeq: 1", "CSeq: 2"), "To: <sip:bob@example.net>\n", "To: <sip:bob@example.net>;tag=b1\n");
}

const std::string plain = "v=0\no=- 1 1 IN IP4 10.0.0.2\ns=-\nc=IN IP4 10.0.0.2\nt=0 0\nm=audio 4000 RTP/AVP 0\n";

std::string offered(std::string_view media) { return with_body(invite, with(plain, "m=audio 4000 RTP/AVP 0\n", media)); }

std::string from_other_phone(const std::string& message) {
  return with(with(with(message, "10.0.0.2", "10.0.0.3"), "call-1", "call-3"), "z9hG4bK1", "z9hG4bK3");
}

Policy policy_with(PortRange pool, std::vector<PortRange> reserved = {}) {
  Policy policy;
  policy.inside = {*parse_network("10.0.0.0/24")};
  policy.router = {*parse_address("10.0.0.1"), *parse_address("203.0.113.1")};
  policy.media_ports = pool;
  policy.reserved_ports = std::move(reserved);
  return policy;
}

}  // namespace

// --- what is a stream of ours ---

TEST_CASE("a stream over TCP whose phone connects itself gets no door, whether its line or its session says so") {
  const std::string line = "m=application 4000 TCP/BFCP *\n";
  World by_line;
  CHECK(contains(by_line.out(phone, provider, sip_text(offered(line + "a=setup:active\n"))), "m=application 4000 TCP"));
  CHECK_FALSE(by_line.door_of("10.0.0.2:4000"));
  World by_session;
  by_session.out(phone, provider, sip_text(offered("a=setup:active\n" + line)));
  CHECK_FALSE(by_session.door_of("10.0.0.2:4000"));
  World waiting;
  waiting.out(phone, provider, sip_text(offered("a=setup:active\n" + line + "a=setup:passive\n")));
  CHECK(waiting.door_of("10.0.0.2:4000"));
}

TEST_CASE("more ports than a stream has, or than there are: the line is left, others are mapped") {
  for (const std::string many : {"4000/17", "65534/2"}) {
    World world;
    const std::string left = world.out(phone, provider, sip_text(offered("m=video " + many + " RTP/AVP 31\nm=audio 4100 RTP/AVP 0\n")));
    CHECK(contains(left, "m=video " + many + " RTP/AVP 31"));
    CHECK_FALSE(world.door_of("10.0.0.2:" + many.substr(0, many.find('/'))));
    CHECK(world.door_of("10.0.0.2:4100"));
  }
}

TEST_CASE("RTP at the last port of all has its door, and no RTCP beside it") {
  World world;
  CHECK(contains(world.out(phone, provider, sip_text(offered("m=audio 65535 RTP/AVP 0\n"))), "m=audio 65535 "));
  CHECK(world.door_of("10.0.0.2:65535") == ep("203.0.113.1:65535"));
}

TEST_CASE("RTCP on a port of its own leaves the next one closed") {
  World world;
  world.out(phone, provider, sip_text(offered("m=audio 4000 RTP/AVP 0\na=rtcp:4101\n")));
  CHECK(world.door_of("10.0.0.2:4101"));
  CHECK_FALSE(world.door_of("10.0.0.2:4001"));
}

TEST_CASE("RTCP at an address that is not the phone's stays there") {
  World world;
  const std::string left = world.out(phone, provider, sip_text(offered("m=audio 4000 RTP/AVP 0\na=rtcp:4101 IN IP4 198.51.100.9\n")));
  CHECK(contains(left, "a=rtcp:4101 IN IP4 198.51.100.9"));
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of("198.51.100.9:4101"));
}

TEST_CASE("RTCP at a name stays there, port and all") {
  World world;
  world.out("10.0.0.3:5060", provider, sip_text(with(with(offered("m=audio 4000 RTP/AVP 0\na=rtcp:4101\n"), "10.0.0.2", "10.0.0.3"), "call-1", "call-of-another")));
  const std::string left = world.out(phone, provider, sip_text(offered("m=audio 4000 RTP/AVP 0\na=rtcp:4101 IN IP4 phone.lan\n")));
  CHECK(contains(left, "a=rtcp:4101 IN IP4 phone.lan"));
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK_FALSE(world.door_of("10.0.0.2:4101"));
}

TEST_CASE("c= of the session stays when no line that relies on it is mapped") {
  World world;
  const std::string left = world.out(phone, provider, sip_text(offered("m=audio 4000 FOO/BAR 0\n")));
  CHECK(contains(left, "c=IN IP4 10.0.0.2\r\n"));
}

TEST_CASE("hold by 0.0.0.0 at another port than the door's keeps the number it says") {
  World world;
  set_up_call(world);
  const std::string held = with(with_body(invite, plain), "c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0");
  CHECK(contains(world.out(phone, "203.0.113.2:5080", sip_text(reinvite(with(held, "m=audio 4000", "m=audio 5000")))), "m=audio 5000 "));
}

TEST_CASE("hold by 0.0.0.0 keeps the door's number, not that of its RTCP or of a way out") {
  World world;
  world.out("10.0.0.3:5060", provider, sip_text(from_other_phone(with_body(invite, plain))));
  world.out("10.0.0.2:5062", provider, sip_text(with(with_body(invite, plain), "10.0.0.2:5060", "10.0.0.2:5062")));
  REQUIRE(world.door_of("10.0.0.2:4000") != ep("203.0.113.1:4000"));
  const std::string number = std::to_string(world.door_of("10.0.0.2:4000")->port);
  world.delivered(provider, "203.0.113.1:5062", sip_text(with(ok_to_invite, "203.0.113.1:5060", "203.0.113.1:5062")));
  const std::string held = with(with(with_body(invite, plain), "c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0"), "10.0.0.2:5060", "10.0.0.2:5062");
  CHECK(contains(world.out("10.0.0.2:5062", "203.0.113.2:5080", sip_text(reinvite(held))), "m=audio " + number + " "));
}

TEST_CASE("remote-candidates are given back where they are ours, and left where they are not") {
  World world;
  set_up_call(world);
  const std::string body = ok_to_invite.substr(ok_to_invite.find("v=0")) + "a=remote-candidates:1 203.0.113.1 4000 2 203.0.113.1 4444\n";
  const std::string asked = "INVITE sip:alice@203.0.113.1:5060;ob SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.2:5080;branch=z9hG4bKb3;rport\nFrom: <sip:bob@example.net>;tag=b1\n"
                            "To: \"Alice\" <sip:alice@203.0.113.1>;tag=a1\nCall-ID: call-1@10.0.0.2\nCSeq: 5 INVITE\nContact: <sip:bob@203.0.113.2:5080>\n"
                            "Content-Type: application/sdp\nContent-Length: {length}\n\n" + body;
  CHECK(contains(world.delivered("203.0.113.2:5080", w, sip_text(asked)), "a=remote-candidates:1 10.0.0.2 4000 2 203.0.113.1 4444"));
}

TEST_CASE("a way out to the other side's RTCP, unless it comes beside its RTP") {
  for (const bool muxed : {true, false}) {
    World world;
    world.out(phone, provider, sip_text(with(invite, "a=rtcp:", "a=rtcp-mux\na=rtcp:")));
    world.delivered(provider, w, sip_text(with(ok_to_invite, "RTP/AVP 0\n", muxed ? "RTP/AVP 0\na=rtcp-mux\n" : "RTP/AVP 0\n")));
    CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
    CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30001") != muxed);
  }
}

TEST_CASE("a body that is signed by auth-int stays, its header fields do not") {
  World world;
  const std::string signs = "Authorization: Digest username=\"a\", realm=\"r\", qop=auth-int, response=\"0\"\nSubject:";
  const std::string left = world.out(phone, provider, sip_text(with(invite, "Subject:", signs)));
  CHECK(contains(left, "c=IN IP4 10.0.0.2\r\n"));
  CHECK(contains(left, "Contact: <sip:alice@203.0.113.1:5060;ob>"));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.stats().of_groups(Reason::body_encoded) == 1);
}

TEST_CASE("a part that counts its own bytes counts them behind the edits, too") {
  World world;
  const std::string part = sip_text("x\n\n" + plain).substr(5);  // with CRLF
  const std::string body = "--cut\nContent-Type: application/sdp\nContent-Length: " + std::to_string(part.size()) + "\n\n" + plain + "\n--cut--\n";
  const std::string left = world.out(phone, provider, sip_text(with(with_body(invite, body), "application/sdp\nContent-Length: {", "multipart/mixed;boundary=cut\nContent-Length: {")));
  const std::string mapped = with(part, "10.0.0.2", "203.0.113.1");
  CHECK(contains(left, "Content-Length: " + std::to_string(mapped.size()) + "\r\n\r\n" + mapped));
}

// --- which port ---

TEST_CASE("reserved ports are nobody's, not even where the phone has them itself") {
  World world;
  world.engine.set_policy(policy_with({20000, 20099}, {{4000, 4009}, {5060, 5070}}));
  world.out(phone, provider, sip_text(with(with_body(invite, plain), "alice@10.0.0.2:5060", "alice@10.0.0.2:5065")));
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:20000"));
  CHECK(world.door_of("10.0.0.2:5065")->port >= 20000);
}

TEST_CASE("a pool of an odd first and last port: pairs stay pairs, and nothing is taken behind it") {
  World world;
  world.engine.set_policy(policy_with({20001, 20004}));
  world.kernel.taken = {ep("203.0.113.1:4000")};
  world.out(phone, provider, sip_text(with_body(invite, plain)));
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:20002"));
  CHECK(world.door_of("10.0.0.2:4001") == ep("203.0.113.1:20003"));
  world.out("10.0.0.3:5060", provider, sip_text(from_other_phone(with_body(invite, plain))));
  CHECK(world.door_of("10.0.0.3:4000") == ep("203.0.113.1:20004"));  // no pair is left: audio alone
  CHECK_FALSE(world.door_of("10.0.0.3:4001"));
}

TEST_CASE("a stream of several ports takes none that another phone has, and none behind the last") {
  World world;
  world.out("10.0.0.3:5060", provider, sip_text(from_other_phone(with_body(invite, with(plain, "audio 4000", "audio 4002")))));
  const std::string left = world.out(phone, provider, sip_text(offered("m=audio 4000/2 RTP/AVP 0\n")));
  CHECK_FALSE(contains(left, "m=audio 4000/2"));
  CHECK(world.door_of("10.0.0.2:4000")->port + 3 == world.door_of("10.0.0.2:4003")->port);
}

TEST_CASE("a port that was another phone's rests, and is free again when it has rested") {
  World world;
  set_up_call(world);
  hang_up(world);
  world.pass_time(1s);
  world.out("10.0.0.3:5060", provider, sip_text(from_other_phone(with_body(invite, plain))));
  CHECK(world.door_of("10.0.0.3:4000") != ep("203.0.113.1:4000"));
  world.pass_time(121s);
  world.out("10.0.0.4:5060", provider, sip_text(with(with(with(with_body(invite, plain), "10.0.0.2", "10.0.0.4"), "call-1", "call-4"), "z9hG4bK1", "z9hG4bK4")));
  CHECK(world.door_of("10.0.0.4:4000") == ep("203.0.113.1:4000"));
}

TEST_CASE("media does not take the port of an administrator's forward") {
  World world;
  world.forward("203.0.113.1:5060", "10.0.0.5:5060");
  world.delivered(provider, w, sip_text(invite_from_bob));
  world.out(phone, provider, sip_text(offered("m=audio 5060 RTP/AVP 0\n")));
  REQUIRE(world.door_of("10.0.0.2:5061"));  // the RTCP: of its signalling the phone has a door at 5060, too
  CHECK(world.door_of("10.0.0.2:5061") != ep("203.0.113.1:5061"));
}

TEST_CASE("doors whose place another has by the time their address returns stay closed") {
  World world;
  set_up_call(world);
  world.engine.outside_address_lost(*parse_address("203.0.113.1"));
  REQUIRE(world.doors() > 0);  // ways out
  world.out("10.0.0.3:5060", provider, sip_text(from_other_phone(with_body(invite, plain))));
  REQUIRE(world.door_of("10.0.0.3:4000") == ep("203.0.113.1:4000"));
  world.engine.outside_address_returned(*parse_address("203.0.113.1"));
  CHECK(world.stats()[Event::doors_refused] == 0);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.door_of("10.0.0.3:4000") == ep("203.0.113.1:4000"));
}

TEST_CASE("a door that waits for the registrar's word is not opened by the return of its address") {
  World world;
  world.out(phone, provider, sip_text(with(registration, "alice@10.0.0.2>", "alice@10.0.0.2:5062>")));
  REQUIRE_FALSE(world.door_of("10.0.0.2:5062"));
  world.engine.outside_address_lost(*parse_address("203.0.113.1"));
  world.engine.outside_address_returned(*parse_address("203.0.113.1"));
  CHECK(world.door_of(phone));
  CHECK_FALSE(world.door_of("10.0.0.2:5062"));
}

// --- until when ---

TEST_CASE("PRACK lets a phone ring on for three minutes more") {
  World world;
  world.out(phone, provider, sip_text(invite));
  const std::string ringing = with(ok_to_invite.substr(0, ok_to_invite.find("Content-Type")) + "Content-Length: 0\n\n", "200 OK", "180 Ringing");
  world.delivered(provider, w, sip_text(with(ringing, "CSeq:", "Require: 100rel\nRSeq: 1\nCSeq:")));
  world.pass_time(170s);
  world.out(phone, "203.0.113.2:5080", sip_text(with(with(with(ack, "ACK", "PRACK"), "CSeq: 1", "RAck: 1 1 INVITE\nCSeq: 2"), "z9hG4bK2", "z9hG4bKp")));
  world.pass_time(170s);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(11s + 33s);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("a provisional response to another request than INVITE prolongs nothing") {
  World world;
  world.out(phone, provider, sip_text(with(with(invite.substr(0, invite.find("Contact")), "INVITE", "OPTIONS"), "call-1", "options-1") + "Content-Length: 0\n\n"));
  world.delivered(provider, w, sip_text(with(with(with(ok_to_invite.substr(0, ok_to_invite.find("Contact")), "INVITE", "OPTIONS"), "call-1", "options-1"), "200 OK", "100 Trying") + "Content-Length: 0\n\n"));
  world.pass_time(33s);
  CHECK(world.doors() == 0);
}

TEST_CASE("a registration that is granted for less than before ends when it says") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(with(ok_to_registration, "expires=60", "expires=3600")));
  const auto again = [](const std::string& text) { return with(with(text, "CSeq: 1", "CSeq: 2"), "z9hG4bKr1", "z9hG4bKr2"); };
  world.out(phone, provider, sip_text(again(registration)));
  world.delivered(provider, w, sip_text(again(ok_to_registration)));
  world.pass_time(60s + 31s);
  CHECK(world.engine.registrations(world.now).size() == 1);
  world.pass_time(2s);
  CHECK(world.engine.registrations(world.now).empty());
  CHECK(world.doors() == 0);
}

TEST_CASE("no registration is kept for longer than a week, however long it is granted") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(with(ok_to_registration, "expires=60", "expires=4294967295")));
  world.pass_time(24h * 7 + 33s);
  CHECK(world.engine.registrations(world.now).empty());
}

TEST_CASE("Contact * at one registrar leaves what the other has") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  const auto elsewhere = [](const std::string& text) { return with(with(with(text, "reg-1", "reg-2"), "z9hG4bKr1", "z9hG4bKr2"), "203.0.113.2", "203.0.113.7"); };
  world.out(phone, "203.0.113.7:5060", sip_text(elsewhere(registration)));
  world.delivered("203.0.113.7:5060", w, sip_text(elsewhere(ok_to_registration)));
  REQUIRE(world.engine.registrations(world.now).size() == 2);
  const auto off = [&](const std::string& text) { return with(with(elsewhere(text), "CSeq: 1", "CSeq: 2"), "z9hG4bKr2", "z9hG4bKr3"); };
  world.out(phone, "203.0.113.7:5060", sip_text(with(off(registration), "Contact: <sip:alice@10.0.0.2>;expires=600", "Contact: *\nExpires: 0")));
  world.delivered("203.0.113.7:5060", w, sip_text(with(with(off(ok_to_registration), "Contact: <sip:alice@203.0.113.1>;expires=60\n", ""), "Contact: <sip:alice@198.51.100.77:5060>;expires=1000\n", "")));
  const auto left = world.engine.registrations(world.now);
  REQUIRE(left.size() == 1);
  CHECK(world.in(provider, w, sip_text(invite_from_bob)));
}

TEST_CASE("a call is cleared by its Call-ID as it is shown") {
  World world;
  world.out(phone, provider, sip_text(with(invite, "call-1@10.0.0.2", "call-\xfc@10.0.0.2")));
  const auto calls = world.engine.calls(world.now);
  REQUIRE(calls.size() == 1);
  CHECK(world.engine.clear_call("call-1@10.0.0.2", world.now) == 0);
  CHECK(world.engine.clear_call(calls.front().call_id, world.now) == 1);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("a session description of before that comes late changes nothing of the call") {
  World world;
  world.out(phone, provider, sip_text(with_body(invite, plain)));
  world.delivered(provider, w, sip_text(ok_to_invite));
  const std::string late = with(with(with(ok_to_invite, "200 OK", "183 Session Progress"), "203.0.113.3", "203.0.113.8"), "audio 30000", "audio 30800");
  world.delivered(provider, w, sip_text(late));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
  CHECK_FALSE(world.has_way_out("10.0.0.2", "203.0.113.8:30800"));
}

TEST_CASE("a re-INVITE without an offer that is refused takes the offer of its 183 with it") {
  World world;
  set_up_call(world);
  const std::string head = "Via: SIP/2.0/UDP 203.0.113.2:5080;branch=z9hG4bKb4\nFrom: <sip:bob@example.net>;tag=b1\nTo: \"Alice\" <sip:alice@10.0.0.2>;tag=a1\n"
                           "Call-ID: call-1@10.0.0.2\nCSeq: 5 INVITE\n";
  const std::string empty = "Content-Length: 0\n\n";
  world.delivered("203.0.113.2:5080", w, sip_text("INVITE sip:alice@203.0.113.1:5060;ob SIP/2.0\n" + with(head, "10.0.0.2>", "203.0.113.1>") + "Contact: <sip:bob@203.0.113.2:5080>\n" + empty));
  const std::string body = with(plain, "audio 4000", "audio 4200");
  world.out(phone, "203.0.113.2:5080", sip_text("SIP/2.0 183 Session Progress\n" + head + "Contact: <sip:alice@10.0.0.2:5060;ob>\nRequire: 100rel\nRSeq: 1\n"
                                                "Content-Type: application/sdp\nContent-Length: {length}\n\n" + body));
  REQUIRE(world.door_of("10.0.0.2:4200"));
  world.out(phone, "203.0.113.2:5080", sip_text("SIP/2.0 488 Not Acceptable Here\n" + head + empty));
  world.pass_time(33s);
  CHECK_FALSE(world.door_of("10.0.0.2:4200"));
  CHECK(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("an offer that a 2xx does not answer gives its doors back, the call keeps those it has") {
  World world;
  set_up_call(world);
  world.out(phone, "203.0.113.2:5080", sip_text(reinvite(with_body(invite, with(plain, "audio 4000", "audio 4200")))));
  REQUIRE(world.door_of("10.0.0.2:4200"));
  const std::string bare = with(with(ok_to_invite.substr(0, ok_to_invite.find("Content-Type")), "z9hG4bK1", "z9hG4bK5"), "CSeq: 1", "CSeq: 2") + "Content-Length: 0\n\n";
  world.delivered("203.0.113.2:5080", w, sip_text(bare));
  world.pass_time(65s);
  CHECK_FALSE(world.door_of("10.0.0.2:4200"));
  CHECK(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("a call that was learnt late by its SUBSCRIBE is no call") {
  World world;
  const std::string learnt = with(with(with(invite.substr(0, invite.find("Content-Type")), "INVITE", "SUBSCRIBE"), "To: <sip:bob@example.net>\n", "To: <sip:bob@example.net>;tag=b1\n"),
                                  "Subject: my address is 10.0.0.2", "Event: dialog\nExpires: 60") + "Content-Length: 0\n\n";
  world.out(phone, provider, sip_text(learnt));
  CHECK(world.engine.standing().calls == 0);
}

TEST_CASE("a subscription whose 2xx says no time lasts as long as was asked") {
  World world;
  const std::string asked = with(with(invite.substr(0, invite.find("Content-Type")), "INVITE", "SUBSCRIBE"), "Subject: my address is 10.0.0.2", "Event: dialog\nExpires: 3600") + "Content-Length: 0\n\n";
  world.out(phone, provider, sip_text(asked));
  world.delivered(provider, w, sip_text(with(ok_to_invite.substr(0, ok_to_invite.find("Content-Type")), "INVITE", "SUBSCRIBE") + "Content-Length: 0\n\n"));
  world.pass_time(3600s);
  CHECK(world.door_of(phone));
  world.pass_time(33s);
  CHECK_FALSE(world.door_of(phone));
}

TEST_CASE("a Path is needed as long as one of the bindings that were granted with it") {
  World world;
  const auto through = [](const std::string& text, std::string_view path) { return with(text, "CSeq: 1 REGISTER\n", "CSeq: 1 REGISTER\nPath: <sip:" + std::string(path) + ";lr>\n"); };
  world.out(phone, provider, sip_text(through(registration, "10.0.0.2")));
  world.delivered(provider, w, sip_text(through(ok_to_registration, "203.0.113.1")));
  CHECK(world.engine.registrations(world.now).size() == 2);
  world.pass_time(999s);
  CHECK(world.engine.registrations(world.now).size() == 1);
  CHECK(world.door_of(phone));
  world.pass_time(34s);
  CHECK(world.doors() == 0);
}
