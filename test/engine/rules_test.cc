// SPDX-License-Identifier: GPL-2.0-or-later
// One rule of sip-rules each: transactions, legs, offers and answers, naming, lifetimes.
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

std::string response(const std::string& ok, std::string_view status) { return with(ok, "200 OK", status); }

// The same without its body.
std::string bare(const std::string& message) {
  return with(message.substr(0, message.find("\n\n") + 1), "Content-Type: application/sdp\n", "");
}

void set_up_call(World& world) {
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.out(phone, "203.0.113.2:5080", sip_text(ack));
}

const std::string reinvite = with(with(with(with(with(invite, "z9hG4bK1", "z9hG4bK3"), "CSeq: 1", "CSeq: 2"), "<sip:bob@example.net>\n",
    "<sip:bob@example.net>;tag=b1\n"), "INVITE sip:bob@example.net", "INVITE sip:bob@203.0.113.2:5080"), "o=- 1 1", "o=- 1 2");
const std::string answer_to_reinvite = with(with(ok_to_invite, "z9hG4bK1", "z9hG4bK3"), "CSeq: 1", "CSeq: 2");

}  // namespace

TEST_CASE("CANCEL and the ACK to 487 copy the INVITE's edits; the attempt's media closes, and nothing is left") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(response(bare(ok_to_invite), "180 Ringing")));
  const std::string cancel = with(bare(invite), "INVITE sip", "CANCEL sip");
  const std::string sent_cancel = with(cancel, "1 INVITE", "1 CANCEL");
  const std::string got = world.out(phone, provider, sip_text(sent_cancel));
  CHECK(got.find("Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1") != std::string::npos);
  const std::string ok = world.delivered(provider, w, sip_text(with(bare(ok_to_invite), "1 INVITE", "1 CANCEL")));
  CHECK(ok.find("Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1") != std::string::npos);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.delivered(provider, w, sip_text(response(bare(ok_to_invite), "487 Request Terminated")));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  const std::string ack_487 = with(with(ack, "z9hG4bK2", "z9hG4bK1"), "bob@203.0.113.2:5080", "bob@example.net");
  CHECK(world.out(phone, provider, sip_text(ack_487)).find("UDP 203.0.113.1:5060") != std::string::npos);
  world.pass_time(33s);
  CHECK(world.doors() == 0);
}

TEST_CASE("ACK and CANCEL without their INVITE pass untouched") {
  World world;
  CHECK(world.out(phone, provider, sip_text(ack)) == sip_text(ack));
  CHECK(world.verdict.reason == Reason::no_record);
  CHECK(world.doors() == 0);
}

TEST_CASE("401 and the second INVITE: the same media port") {
  World world;
  world.kernel.taken.insert(ep("203.0.113.1:4000"));
  world.out(phone, provider, sip_text(invite));
  const auto first = world.door_of("10.0.0.2:4000");
  REQUIRE(first);
  CHECK(first->port != 4000);
  world.delivered(provider, w, sip_text(response(bare(ok_to_invite), "401 Unauthorized")));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  world.out(phone, provider, sip_text(with(with(invite, "z9hG4bK1", "z9hG4bK8"), "CSeq: 1", "CSeq: 2")));
  CHECK(world.door_of("10.0.0.2:4000") == first);
  CHECK(world.engine.totals().calls == 1);
}

TEST_CASE("a refused re-INVITE leaves the old session and takes the new doors back") {
  World world;
  set_up_call(world);
  const std::string moved = with(reinvite, "4000", "4100");
  world.out(phone, "203.0.113.2:5080", sip_text(moved));
  CHECK(world.door_of("10.0.0.2:4100"));
  world.delivered("203.0.113.2:5080", w, sip_text(response(bare(answer_to_reinvite), "488 Not Acceptable Here")));
  world.pass_time(33s);
  CHECK_FALSE(world.door_of("10.0.0.2:4100"));
  CHECK(world.door_of("10.0.0.2:4000") == ep("203.0.113.1:4000"));
}

TEST_CASE("an accepted re-INVITE with another endpoint closes the old door 64*T1 after the answer") {
  World world;
  set_up_call(world);
  world.out(phone, "203.0.113.2:5080", sip_text(with(reinvite, "4000", "4100")));
  world.delivered("203.0.113.2:5080", w, sip_text(answer_to_reinvite));
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(33s);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.door_of("10.0.0.2:4100") == ep("203.0.113.1:4100"));
}

TEST_CASE("hold by 0.0.0.0, by sendonly and by port 0: the same ports afterwards") {
  World world;
  set_up_call(world);
  const auto port = world.door_of("10.0.0.2:4000");
  for (const auto& [from, to] : {std::pair{"c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0"}, {"m=audio 4000", "a=sendonly\nm=audio 4000"},
                                 {"m=audio 4000", "m=audio 0"}}) {
    INFO(to);
    const std::string hold = with(with(reinvite, from, to), "a=rtcp:4001 IN IP4 10.0.0.2\n", "");
    const std::string got = world.out(phone, "203.0.113.2:5080", sip_text(hold));
    if (std::string_view(to).starts_with("c=")) CHECK(got.find("c=IN IP4 0.0.0.0\r\n") != std::string::npos);
    CHECK(got.find("o=- 1 2 IN IP4 203.0.113.1") != std::string::npos);
    world.delivered("203.0.113.2:5080", w, sip_text(answer_to_reinvite));
    world.pass_time(40s);
    CHECK(world.door_of("10.0.0.2:4000") == port);
  }
}

TEST_CASE("a call is not cut while its media has a conntrack: 13 h of talk, 25 h of hold") {
  World world;
  set_up_call(world);
  world.kernel.with_flow.insert(ep("203.0.113.1:4000"));
  world.pass_time(13h);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.out(phone, "203.0.113.2:5080", sip_text(with(reinvite, "m=audio", "a=inactive\nm=audio")));
  world.delivered("203.0.113.2:5080", w, sip_text(answer_to_reinvite));
  world.pass_time(25h);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.kernel.with_flow.clear();
  world.pass_time(25h);
  CHECK(world.doors() == 0);
}

TEST_CASE("without media and SIP a call ends after call-idle, held or not by its last SDP") {
  World world;
  set_up_call(world);
  world.pass_time(59min);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(2min);
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  CHECK(world.stats[Event::calls_ended_by_time] == 1);
}

TEST_CASE("late offer: the SDP of the ACK is an answer and makes its media doors") {
  World world;
  world.out(phone, provider, sip_text(bare(invite)));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
  world.delivered(provider, w, sip_text(ok_to_invite));
  const std::string body = invite.substr(invite.find("\n\n"));
  const std::string got = world.out(phone, "203.0.113.2:5080", sip_text(with(ack, "Content-Length: {length}\n",
      "Content-Type: application/sdp\nContent-Length: {length}") + body));
  CHECK(got.find("m=audio 4000") != std::string::npos);
  CHECK(got.find("c=IN IP4 203.0.113.1") != std::string::npos);
  CHECK(world.door_of("10.0.0.2:4000"));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
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

TEST_CASE("forks: two early dialogs with their own media; the first way out stays while the second talks") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(response(ok_to_invite, "183 Session Progress")));
  const std::string other = with(with(ok_to_invite, "tag=b1", "tag=b2"), "203.0.113.3", "203.0.113.4");
  world.delivered(provider, w, sip_text(response(other, "183 Session Progress")));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.3:30000"));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.4:30000"));
  world.delivered(provider, w, sip_text(other));
  CHECK(world.door_of("10.0.0.2:4000"));
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
  CHECK(stranger.stats.of_groups(Reason::third_party) > 0);
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
  CHECK(world.stats.of_groups(Reason::kernel_refused) == 1);
  CHECK(world.out(phone, provider, sip_text(invite)) == got);
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
