// SPDX-License-Identifier: GPL-2.0-or-later
// Where a rule of sip-rules ends: what is just not ours, just not allowed, just over. Each has failed to fail once: the rule could
// be taken out, and no other test saw it.
#include <catch2/catch.hpp>

#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string line(const std::string& text, std::string_view begin) {
  const auto at = text.find(begin);
  return at == std::string::npos ? "none" : text.substr(at, text.find("\r\n", at) - at);
}

std::string message_from_bob(std::string_view uri, std::string_view more = "") {
  return "MESSAGE " + std::string(uri) + " SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKm1;rport\nFrom: <sip:bob@example.net>;tag=m1\n"
         "To: <sip:alice@example.net>" + std::string(more) + "\nCall-ID: message-1\nCSeq: 1 MESSAGE\nContent-Length: 0\n\n";
}

std::string registered(std::string_view user, std::string_view host, std::string_view id) {
  return with(with(with(with(registration, "<sip:alice@10.0.0.2>;expires", "<sip:" + std::string(user) + "@" + std::string(host) + ">;expires"),
                        "10.0.0.2", std::string(host)), "reg-1", std::string(id)), "z9hG4bKr1", "z9hG4bK" + std::string(id));
}
std::string granted(std::string_view contacts, std::string_view id) {
  return with(with(with(with(ok_to_registration, "Contact: <sip:alice@203.0.113.1>;expires=60\n", std::string(contacts)),
                        "Contact: <sip:alice@198.51.100.77:5060>;expires=1000\n", ""), "reg-1", std::string(id)), "z9hG4bKr1", "z9hG4bK" + std::string(id));
}

}  // namespace

// --- header fields (sip-rules section 1) ---

TEST_CASE("a Contact of another host stays, and opens nothing, unless its sender is a PBX") {
  const std::string named = with(invite, "<sip:alice@10.0.0.2:5060;ob>", "<sip:alice@10.0.0.9:5062;ob>");
  World stranger;
  CHECK(contains(stranger.out(phone, provider, sip_text(named)), "Contact: <sip:alice@10.0.0.9:5062;ob>"));
  CHECK_FALSE(stranger.door_of("10.0.0.9:5062"));
  CHECK(stranger.stats().of_groups(Reason::third_party) == 1);
  World::Setup setup;
  setup.pbx = {"10.0.0.2"};
  World pbx(setup);
  CHECK(contains(pbx.out(phone, provider, sip_text(named)), "Contact: <sip:alice@203.0.113.1:5062;ob>"));
}

TEST_CASE("a Contact below port 1024 leaves all header fields as they are, and the body is mapped all the same") {
  World world;
  const std::string left = world.out(phone, provider, sip_text(with(invite, "alice@10.0.0.2:5060", "alice@10.0.0.2:80")));
  CHECK(contains(left, "Contact: <sip:alice@10.0.0.2:80;ob>"));
  CHECK(line(left, "Via:") == "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport");
  CHECK(contains(left, "c=IN IP4 203.0.113.1"));
  CHECK_FALSE(world.door_of("10.0.0.2:80"));
  CHECK(world.stats().of_groups(Reason::low_port) == 1);
}

TEST_CASE("a source port below 1024 gets no door, the port of its Via does") {
  World world;
  world.out("10.0.0.2:700", provider, sip_text(invite));
  CHECK_FALSE(world.door_of("10.0.0.2:700"));
  CHECK(world.door_of("10.0.0.2:5060"));
}

TEST_CASE("a Via of another interface asks for its own port, unless rport asks for the source") {
  for (const bool has_rport : {true, false}) {
    World world;
    world.out(phone, provider, sip_text(with(invite, "10.0.0.2:5060;branch=z9hG4bK1;rport",
                                             std::string("192.168.77.5:5070;branch=z9hG4bK1") + (has_rport ? ";rport" : ""))));
    CHECK(world.door_of("10.0.0.2:5070").has_value() != has_rport);
  }
}

TEST_CASE("maddr in Via and Contact is mapped beside the address it repeats, and comes back") {
  World world;
  const std::string left = world.out(phone, provider, sip_text(with(with(invite, "branch=z9hG4bK1;rport", "maddr=10.0.0.2;branch=z9hG4bK1;rport"),
                                                                    "10.0.0.2:5060;ob", "10.0.0.2:5060;maddr=10.0.0.2;ob")));
  CHECK(line(left, "Via:") == "Via: SIP/2.0/UDP 203.0.113.1:5060;maddr=203.0.113.1;branch=z9hG4bK1;rport");
  CHECK(line(left, "Contact:") == "Contact: <sip:alice@203.0.113.1:5060;maddr=203.0.113.1;ob>");
  const std::string back = world.delivered(provider, w, sip_text(with(ok_to_invite, "5060;branch=z9hG4bK1", "5060;maddr=203.0.113.1;branch=z9hG4bK1")));
  CHECK(line(back, "Via:") == "Via: SIP/2.0/UDP 10.0.0.2:5060;maddr=10.0.0.2;branch=z9hG4bK1;received=10.0.0.2;rport=5060");
  const std::string bye = world.delivered("203.0.113.2:5080", w, sip_text(with(bye_from_bob, "203.0.113.1:5060;ob", "203.0.113.1:5060;maddr=203.0.113.1;ob")));
  CHECK(contains(bye, "BYE sip:alice@10.0.0.2:5060;maddr=10.0.0.2;ob SIP/2.0"));
}

TEST_CASE("behind maddr a name stays, with its port where that is the door's") {
  World world;
  const std::string left = world.out(phone, provider, sip_text(with(invite, "10.0.0.2:5060;ob", "phone.lan:5060;maddr=10.0.0.2;ob")));
  CHECK(line(left, "Contact:") == "Contact: <sip:alice@phone.lan:5060;maddr=203.0.113.1;ob>");
  CHECK(world.trace.edits.size() > 0);
  for (const auto& edit : world.trace.edits) CHECK_FALSE(contains(edit.after, "phone.lan"));
}

TEST_CASE("who calls back to the Contact of a call reaches its phone, another user of that endpoint is nobody's") {
  World world;
  set_up_call(world);
  CHECK(contains(world.delivered(provider, w, sip_text(message_from_bob("sip:alice@203.0.113.1:5060;ob"))), "MESSAGE sip:alice@10.0.0.2:5060;ob SIP/2.0"));
  const std::string other = with(with(message_from_bob("sip:fax@203.0.113.1:5060;ob"), "message-1", "message-2"), "z9hG4bKm1", "z9hG4bKm2");
  CHECK(contains(world.delivered(provider, w, sip_text(other)), "MESSAGE sip:fax@203.0.113.1:5060;ob SIP/2.0"));
}

TEST_CASE("a door that is for responses alone restores no Request-URI") {
  World world;
  const std::string options = with(with(invite.substr(0, invite.find("Contact")), "INVITE", "OPTIONS"), "call-1", "options-1") + "Content-Length: 0\n\n";
  world.out(phone, provider, sip_text(options));
  const std::string in_dialog = message_from_bob("sip:alice@203.0.113.1:5060", ";tag=unknown");
  CHECK(contains(world.delivered(provider, w, sip_text(in_dialog)), "MESSAGE sip:alice@203.0.113.1:5060 SIP/2.0"));
}

TEST_CASE("received and rport that are not this flow's stay") {
  World world;
  world.out("10.0.0.3:5060", provider, sip_text(with(with(invite, "10.0.0.2", "10.0.0.3"), "call-1", "call-3")));
  world.out("10.0.0.2:5062", provider, sip_text(with(invite, "10.0.0.2:5060", "10.0.0.2:5062")));
  world.out(phone, provider, sip_text(with(with(invite, "call-1", "call-2"), "z9hG4bK1", "z9hG4bK2")));
  const std::string mine = to_string(world.flow.sender.outside);
  REQUIRE(mine == "203.0.113.1:61000");
  const auto via_of = [&](std::string_view parameters) {
    const std::string answer = with(with(with(ok_to_invite, "call-1", "call-2"), "203.0.113.1:5060;branch=z9hG4bK1", mine + ";branch=z9hG4bK2"), "received=203.0.113.1;rport=5060", parameters);
    return line(world.delivered(provider, mine, sip_text(answer)), "Via:");
  };
  CHECK(via_of("received=203.0.113.1;rport=61000") == "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK2;received=10.0.0.2;rport=5060");
  CHECK(via_of("received=198.51.100.7;rport=61000") == "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK2;received=198.51.100.7;rport=61000");
  CHECK(via_of("received=203.0.113.1;rport=6000") == "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK2;received=10.0.0.2;rport=6000");
}

TEST_CASE("a PBX that writes the outside address into its Via keeps received and rport as they come") {
  World world;
  world.out(phone, provider, sip_text(with(with(invite, "Via: SIP/2.0/UDP 10.0.0.2", "Via: SIP/2.0/UDP 203.0.113.1"), "alice@10.0.0.2:5060", "alice@203.0.113.1:5060")));
  const std::string back = world.delivered(provider, w, sip_text(ok_to_invite));
  CHECK(line(back, "Via:") == "Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1;received=203.0.113.1;rport=5060");
}

TEST_CASE("the answer to REGISTER lists a colleague of the same account: his Contact stays, as his phone is another") {
  World world;
  world.out("10.0.0.3:5060", provider, sip_text(registered("alice", "10.0.0.3", "reg-3")));
  world.delivered(provider, w, sip_text(granted("Contact: <sip:alice@203.0.113.1>;expires=600\n", "reg-3")));
  world.out(phone, provider, sip_text(registered("alice", "10.0.0.2", "reg-2")));
  const std::string mine = to_string(world.flow.sender.outside);
  CHECK(mine == "203.0.113.1:61000");
  const std::string both = "Contact: <sip:alice@203.0.113.1>;expires=600\nContact: <sip:alice@203.0.113.1:61000>;expires=600\n";
  const std::string back = world.delivered(provider, mine, sip_text(with(granted(both, "reg-2"), "UDP 203.0.113.1;", "UDP 203.0.113.1:61000;")));
  CHECK(contains(back, "Contact: <sip:alice@203.0.113.1>;expires=600\r\n"));
  CHECK(contains(back, "Contact: <sip:alice@10.0.0.2>;expires=600\r\n"));
}

TEST_CASE("To of a message with an Identity header stays: it is signed") {
  World world;
  set_up_call(world);
  const std::string signed_bye = with(bye_from_bob, "CSeq:", "Identity: abc;info=<https://example.net/c>\nCSeq:");
  CHECK(line(world.delivered("203.0.113.2:5080", w, sip_text(signed_bye)), "To:") == "To: \"Alice\" <sip:alice@203.0.113.1>;tag=a1");
}

TEST_CASE("an inside registrar: Contacts in its answer stay, its Service-Route comes back as it wrote it") {
  World world;
  world.forward("203.0.113.1:5060", "10.0.0.5:5060");
  const std::string asked = with(with(registration, "10.0.0.2", "203.0.113.2"), "Via: SIP/2.0/UDP 203.0.113.2;", "Via: SIP/2.0/UDP 203.0.113.2:5060;");
  world.delivered(provider, w, sip_text(asked));
  const std::string ok = with(with(with(with(ok_to_registration, "203.0.113.1;branch", "203.0.113.2:5060;branch"), ";received=203.0.113.1", ""),
                                   "<sip:alice@203.0.113.1>;expires=60", "<sip:alice@10.0.0.5>;expires=600"),
                              "<sip:alice@198.51.100.77:5060>;expires=1000", "<sip:alice@203.0.113.2>;expires=600\nService-Route: <sip:10.0.0.5:5060;lr>");
  const std::string left = world.out("10.0.0.5:5060", provider, sip_text(ok));
  CHECK(contains(left, "Contact: <sip:alice@10.0.0.5>;expires=600"));
  CHECK(contains(left, "Service-Route: <sip:203.0.113.1:5060;lr>"));
  const std::string call = with(invite_from_bob, "From:", "Route: <sip:203.0.113.1;lr>\nFrom:");
  CHECK(contains(world.delivered(provider, w, sip_text(call)), "Route: <sip:10.0.0.5:5060;lr>"));
}

// --- who may open what (sections 5 and 7) ---

TEST_CASE("a network of signalling-peers that the registrar is in has the phone's door as a whole") {
  World::Setup setup;
  setup.signalling_peers = {"203.0.113.0/28"};
  World world(setup);
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  CHECK(world.in("203.0.113.9:5060", w, sip_text(invite_from_bob)));
}

TEST_CASE("no way out leads to the router, to an inside host, or to an outside endpoint of our own") {
  for (const std::string own : {"203.0.113.1:5099", "10.0.0.1:5099", "10.0.0.7:5099"}) {
    World world;
    world.out(phone, provider, sip_text(invite));
    world.delivered(provider, w, sip_text(with(ok_to_invite, "203.0.113.2:5080", own)));
    CHECK_FALSE(world.has_way_out("10.0.0.2", own));
  }
  World world;
  world.uplink = "198.51.100.1";  // another one: the router's, but not this flow's
  world.out("10.0.0.3:5060", provider, sip_text(with(with(invite, "10.0.0.2", "10.0.0.3"), "call-1", "call-3")));
  world.uplink = "203.0.113.9";
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, "203.0.113.9:5060", sip_text(with(with(ok_to_invite, "203.0.113.1", "203.0.113.9"), "203.0.113.2:5080", "203.0.113.1:5099")));
  CHECK_FALSE(world.has_way_out("10.0.0.2", "203.0.113.1:5099"));
  world.delivered(provider, "203.0.113.9:5060", sip_text(with(with(ok_to_invite, "203.0.113.1", "203.0.113.9"), "203.0.113.2:5080", "198.51.100.1:5060")));
  CHECK_FALSE(world.has_way_out("10.0.0.2", "198.51.100.1:5060"));
}

TEST_CASE("the answer to a request without rport finds its way out to the port of its Via") {
  World world;
  world.forward("203.0.113.1:5060", "10.0.0.2:5060");
  world.delivered("203.0.113.2:6000", w, sip_text(with(invite_from_bob, "203.0.113.2:5060;branch", "203.0.113.2:5062;branch")));
  CHECK(world.has_way_out("10.0.0.2", "203.0.113.2:5062"));
}

TEST_CASE("without NAT, what inside hosts send each other is nobody's business") {
  World::Setup setup;
  setup.nat = false;
  World world(setup);
  world.out(phone, "10.0.0.7:5060", sip_text(invite));
  CHECK(world.verdict.reason == Reason::nobody_inside);
  CHECK(world.doors() == 0);
}

TEST_CASE("who is called through a door of his own is no administrator's PBX: he may not name others") {
  World world;
  world.out(phone, provider, sip_text(registration));
  world.delivered(provider, w, sip_text(ok_to_registration));
  world.forget_flows();
  world.delivered("203.0.113.2:5066", w, sip_text(invite_from_bob));
  const std::string left = world.out(phone, "203.0.113.2:5066", sip_text(with(ok_from_alice, "c=IN IP4 10.0.0.2", "c=IN IP4 10.0.0.9")));
  CHECK(contains(left, "c=IN IP4 10.0.0.9"));
  CHECK_FALSE(world.door_of("10.0.0.9:4000"));
}

TEST_CASE("a phone that gives up writing the outside address into its registration is called under its own again") {
  World world;
  world.out(phone, provider, sip_text(with(registration, "Contact: <sip:alice@10.0.0.2>", "Contact: <sip:alice@203.0.113.1>")));
  world.delivered(provider, w, sip_text(ok_to_registration));
  const auto again = [](const std::string& text) { return with(with(text, "CSeq: 1", "CSeq: 2"), "z9hG4bKr1", "z9hG4bKr2"); };
  world.out(phone, provider, sip_text(again(registration)));
  world.delivered(provider, w, sip_text(again(ok_to_registration)));
  CHECK(contains(world.delivered(provider, w, sip_text(invite_from_bob)), "INVITE sip:alice@10.0.0.2 SIP/2.0"));
}

// --- transactions (section 3) ---

TEST_CASE("without the magic cookie transactions differ by From tag and sent-by too") {
  World world;
  world.forward("203.0.113.1:5060", "10.0.0.2:5060");
  const std::string old = with(invite_from_bob, ";branch=z9hG4bKi1", ";branch=1");
  world.delivered(provider, w, sip_text(old));
  world.delivered(provider, w, sip_text(with(old, "tag=b7", "tag=b8")));
  world.delivered(provider, w, sip_text(with(old, "UDP 203.0.113.2:5060", "UDP 203.0.113.2:5062")));
  CHECK(world.stats()[Event::retransmissions] == 0);
  world.delivered(provider, w, sip_text(old));
  CHECK(world.stats()[Event::retransmissions] == 1);
}

TEST_CASE("a CANCEL is no retransmission of its INVITE") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.out(phone, provider, sip_text(with(invite.substr(0, invite.find("Contact")), "INVITE", "CANCEL") + "Content-Length: 0\n\n"));
  CHECK(world.stats()[Event::retransmissions] == 0);
}

TEST_CASE("BYE that is challenged ends no call, whoever challenges") {
  for (const std::string status : {"401 Unauthorized", "407 Proxy Authentication Required"}) {
    World world;
    set_up_call(world);
    world.out(phone, "203.0.113.2:5080", sip_text(with(with(with(ack, "ACK", "BYE"), "CSeq: 1", "CSeq: 2"), "z9hG4bK2", "z9hG4bK7")));
    world.delivered("203.0.113.2:5080", w, sip_text(with(with(with(with(ok_to_bye, "203.0.113.2:5080;branch=z9hG4bKb9", "203.0.113.1:5060;branch=z9hG4bK7"),
        "From: <sip:bob@example.net>;tag=b1\nTo: \"Alice\" <sip:alice@10.0.0.2>;tag=a1", "From: \"Alice\" <sip:alice@203.0.113.1>;tag=a1\nTo: <sip:bob@example.net>;tag=b1"),
        "CSeq: 77", "CSeq: 2"), "200 OK", status)));
    world.pass_time(1s);
    CHECK(world.door_of("10.0.0.2:4000"));
  }
}
