// SPDX-License-Identifier: GPL-2.0-or-later
// One rule of sip-rules each: transactions, legs, offers and answers, naming, lifetimes.
#include <catch2/catch.hpp>

#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

// The same without its body.
std::string bare(const std::string& message) {
  return with(message.substr(0, message.find("\n\n") + 1), "Content-Type: application/sdp\n", "");
}

const std::string reinvite = with(with(with(with(with(invite, "z9hG4bK1", "z9hG4bK3"), "CSeq: 1", "CSeq: 2"), "<sip:bob@example.net>\n",
    "<sip:bob@example.net>;tag=b1\n"), "INVITE sip:bob@example.net", "INVITE sip:bob@203.0.113.2:5080"), "o=- 1 1", "o=- 1 2");

const std::string reinvite_from_bob = R"(
INVITE sip:alice@203.0.113.1:5060;ob SIP/2.0
Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKb7
Route: <sip:203.0.113.1;lr>
From: <sip:bob@example.net>;tag=b1
To: "Alice" <sip:alice@10.0.0.2>;tag=a1
Call-ID: call-1@10.0.0.2
CSeq: 7 INVITE
Contact: <sip:bob@203.0.113.2:5080>
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 7 8 IN IP4 203.0.113.3
s=-
c=IN IP4 203.0.113.3
t=0 0
m=audio 30000 RTP/AVP 0
)";

const std::string ok_from_phone = R"(
SIP/2.0 200 OK
Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKb7
From: <sip:bob@example.net>;tag=b1
To: "Alice" <sip:alice@10.0.0.2>;tag=a1
Call-ID: call-1@10.0.0.2
CSeq: 7 INVITE
Contact: <sip:alice@10.0.0.2:5060;ob>
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 1 2 IN IP4 10.0.0.2
s=10.0.0.2
c=IN IP4 10.0.0.2
t=0 0
m=audio 4000 RTP/AVP 0
)";

}  // namespace

TEST_CASE("ACK and CANCEL without their INVITE pass untouched") {
  World world;
  CHECK(world.out(phone, provider, sip_text(ack)) == sip_text(ack));
  CHECK(world.verdict.reason == Reason::no_record);
  CHECK(world.doors() == 0);
}

TEST_CASE("PRACK and UPDATE carry offers and answers like INVITE; INFO and 4xx do not") {
  World world;
  set_up_call(world);
  const std::string update = with(with(with(reinvite, "INVITE", "UPDATE"), "4000", "4200"), "4001", "4201");
  world.out(phone, "203.0.113.2:5080", sip_text(update));
  CHECK(world.door_of("10.0.0.2:4200"));
  const std::string info = with(with(with(with(reinvite, "INVITE", "INFO"), "4000", "4300"), "z9hG4bK3", "z9hG4bK4"), "CSeq: 2", "CSeq: 3");
  const std::string got = world.out(phone, "203.0.113.2:5080", sip_text(info));
  CHECK_FALSE(world.door_of("10.0.0.2:4300"));
  CHECK(got.find("c=IN IP4 10.0.0.2") != std::string::npos);
}

TEST_CASE("rtcp-mux: the RTCP door closes when the answer accepts it, and stays when it does not") {
  for (const bool accepted : {true, false}) {
    World world;
    world.out(phone, provider, sip_text(with(invite, "a=rtcp:", "a=rtcp-mux\na=rtcp:")));
    CHECK(world.door_of("10.0.0.2:4001"));
    world.delivered(provider, w, sip_text(with(ok_to_invite, "RTP/AVP 0\n", accepted ? "RTP/AVP 0\na=rtcp-mux\n" : "RTP/AVP 0\n")));
    world.pass_time(33s);
    CHECK(world.door_of("10.0.0.2:4001").has_value() != accepted);
    CHECK(world.door_of("10.0.0.2:4000"));
  }
}

TEST_CASE("SDP that names another host: left alone, unless the sender is a PBX") {
  const std::string named = with(with(with(invite, "c=IN IP4 10.0.0.2", "c=IN IP4 10.0.0.9"), "IN IP4 10.0.0.2\na=cand", "IN IP4 10.0.0.9\na=cand"),
                                 "10.0.0.2 400", "10.0.0.9 400");
  World stranger;
  CHECK(stranger.out(phone, provider, sip_text(named)).find("c=IN IP4 10.0.0.9") != std::string::npos);
  CHECK_FALSE(stranger.door_of("10.0.0.9:4000"));
  CHECK(stranger.stats().of_groups(Reason::third_party) > 0);
  REQUIRE_FALSE(stranger.trace.notes.empty());
  CHECK(stranger.trace.notes.front().find("pbx = [\"10.0.0.2\"]") != std::string::npos);
  World::Setup setup;
  setup.pbx = {"10.0.0.2"};
  World pbx(setup);
  CHECK(pbx.out(phone, provider, sip_text(named)).find("c=IN IP4 203.0.113.1") != std::string::npos);
  CHECK(pbx.door_of("10.0.0.9:4000"));
}

TEST_CASE("no door below port 1024, and none to the router") {
  World world;
  world.out(phone, provider, sip_text(with(invite, "m=audio 4000", "m=audio 80")));
  CHECK_FALSE(world.door_of("10.0.0.2:80"));
  World::Setup setup;
  setup.pbx = {"10.0.0.2"};
  World router(setup);
  router.out(phone, provider, sip_text(with(invite, "c=IN IP4 10.0.0.2", "c=IN IP4 10.0.0.1")));
  CHECK_FALSE(router.door_of("10.0.0.1:4000"));
}

TEST_CASE("several Contacts, Expires 0 and Contact * of a registration") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  CHECK(world.engine.registrations(world.now).size() == 1);
  const std::string off = with(with(with(registration, "expires=600", "expires=0"), "CSeq: 1", "CSeq: 2"), "z9hG4bKr1", "z9hG4bKr2");
  world.out(phone, provider, sip_text(off));
  world.delivered(provider, w, sip_text(with(with(with(ok_to_registration, "CSeq: 1", "CSeq: 2"), "z9hG4bKr1", "z9hG4bKr2"),
                                               "Contact: <sip:alice@203.0.113.1>;expires=60\n", "")));
  CHECK(world.engine.registrations(world.now).empty());
}

TEST_CASE("a REGISTER that queries opens nothing that lasts") {
  World world;
  world.out(phone, provider, sip_text(with(registration, "Contact: <sip:alice@10.0.0.2>;expires=600\n", "")));
  world.delivered(provider, w, sip_text(ok_to_registration));
  CHECK(world.engine.registrations(world.now).empty());
  world.pass_time(33s);
  CHECK(world.doors() == 0);
}

TEST_CASE("a phone that sends from 49152 and listens on 5060: both have their door") {
  for (const bool rport : {true, false}) {
    World world;
    const std::string options = with(with(bare(invite), "INVITE", "OPTIONS"), ";rport", rport ? ";rport" : "");
    const std::string got = world.out("10.0.0.2:49152", provider, sip_text(options));
    CHECK(got.find("UDP 203.0.113.1:5060;branch") != std::string::npos);
    CHECK(world.door_of(phone) == ep(w));
    CHECK(world.door_of("10.0.0.2:49152").has_value() == rport);
    world.pass_time(33s);
    CHECK(world.doors() == 0);
  }
}

TEST_CASE("a PBX behind a DNAT rule: its answer is mapped to the rule's endpoint, and the rule's port is nobody else's") {
  World world;
  world.forward(w, "10.0.0.10:5060");
  const std::string call = world.delivered(provider, w, sip_text(invite_from_bob));
  CHECK(call == sip_text(invite_from_bob));
  const std::string got = world.out("10.0.0.10:5060", provider, sip_text(with(ok_from_alice, "10.0.0.2", "10.0.0.10")));
  CHECK(got.find("Contact: <sip:alice@203.0.113.1>") != std::string::npos);
  CHECK(got.find("10.0.0.10") == std::string::npos);
  const std::string registered = world.out(phone, "203.0.113.6:5060", sip_text(registration));
  CHECK(registered.find("Contact: <sip:alice@203.0.113.1>") == std::string::npos);
}

TEST_CASE("a body in a transaction that began untouched stays untouched; a refused body leaves the header mapped") {
  World world;
  world.kernel.fail_at(2);  // the first door is the header's, the second the media's
  const std::string got = world.out(phone, provider, sip_text(invite));
  CHECK(got.find("UDP 203.0.113.1:5060") != std::string::npos);
  CHECK(got.find("c=IN IP4 10.0.0.2") != std::string::npos);
  CHECK(world.stats().of_groups(Reason::kernel_refused) == 1);
  CHECK(world.out(phone, provider, sip_text(invite)) == got);
}

TEST_CASE("doors that the full expectation table refuses are counted as such; the message passes unchanged") {
  World world;
  world.kernel.most = 0;
  const std::string sent = sip_text(invite);
  CHECK(world.out(phone, provider, sent) == sent);
  CHECK(world.verdict.reason == Reason::expectations_full);
  CHECK(world.stats().of_groups(Reason::expectations_full) == 2);  // header fields and body
  CHECK(world.stats().of_groups(Reason::kernel_refused) == 0);
  CHECK(world.stats()[Event::doors_refused] > 0);
  world.kernel.most = 100;  // the administrator raised it: this transaction stays as it began, the next has doors
  CHECK(world.out(phone, provider, sent) == sent);
  const std::string next = with(with(sent, "call-1", "call-2"), "z9hG4bK1", "z9hG4bK2");
  CHECK(world.out(phone, provider, next) != next);
}

TEST_CASE("an in-dialog request of a call that began before us is followed from there") {
  World world;
  const std::string got = world.out(phone, "203.0.113.2:5080", sip_text(reinvite));
  CHECK(got.find("Contact: <sip:alice@203.0.113.1:5060;ob>") != std::string::npos);
  CHECK(got.find("From: \"Alice\" <sip:alice@10.0.0.2>") != std::string::npos);
  CHECK(got.find("c=IN IP4 203.0.113.1") != std::string::npos);
}

TEST_CASE("a late offer of ours in a re-INVITE: the old door closes when the ACK answers") {
  World world;
  set_up_call(world);
  const std::string from_bob = with(with(with(bye_from_bob, "BYE", "INVITE"), "z9hG4bKb9", "z9hG4bKb7"), "CSeq: 77", "CSeq: 76");
  world.delivered("203.0.113.2:5080", w, sip_text(from_bob));
  const std::string body = with(ok_from_alice.substr(ok_from_alice.find("\n\n")), "4000", "4400");
  const std::string offer = with(with(with(with(ok_to_bye, "BYE", "INVITE"), "z9hG4bKb9", "z9hG4bKb7"), "CSeq: 77", "CSeq: 76"),
                                 "Content-Length: {length}\n", "Content-Type: application/sdp\nContent-Length: {length}") + body;
  world.out(phone, "203.0.113.2:5080", sip_text(offer));
  CHECK(world.door_of("10.0.0.2:4400"));
  const std::string answer = with(with(with(bye_from_bob, "BYE", "ACK"), "CSeq: 77", "CSeq: 76"), "Content-Length: {length}\n",
                                  "Content-Type: application/sdp\nContent-Length: {length}") + ok_to_invite.substr(ok_to_invite.find("\n\n"));
  world.delivered("203.0.113.2:5080", w, sip_text(with(answer, "z9hG4bKb9", "z9hG4bKb8")));
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(33s);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.door_of("10.0.0.2:4400"));
}

TEST_CASE("a phone that put itself into no Record-Route may not name another host later in the call") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.delivered(provider, w, sip_text(reinvite_from_bob));
  const std::string answer = world.out(phone, provider, sip_text(with(ok_from_phone, "10.0.0.2\nt=0 0\nm=audio 4000", "10.0.0.3\nt=0 0\nm=audio 4400")));
  CHECK(answer.find("c=IN IP4 10.0.0.3\r\n") != std::string::npos);
  CHECK_FALSE(world.door_of("10.0.0.3:4400"));
}

TEST_CASE("ACK makes no door, an OPTIONS with the same Via does") {
  World world;
  const std::string plain = with(with(ack, ";rport", ""), "10.0.0.2:5060;branch", "10.0.0.2;branch");
  world.out("10.0.0.2:49152", provider, sip_text(plain));
  CHECK(world.doors() == 0);
  world.out("10.0.0.2:49152", provider, sip_text(with(plain, "ACK", "OPTIONS")));
  CHECK(world.doors() == 1);
  CHECK(world.door_of(phone) == ep(w));
}
