// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules do differently with a message of a TCP connection. (Streams themselves: test/stream.)
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

const std::string connection = "10.0.0.2:40000", outside_of_it = "203.0.113.1:40000";

const std::string register_by_connection = R"(
REGISTER sip:example.net SIP/2.0
Via: SIP/2.0/TCP 10.0.0.2:40000;branch=z9hG4bKr1;rport
From: <sip:alice@example.net>;tag=r
To: <sip:alice@example.net>
Call-ID: register-1
CSeq: 1 REGISTER
Contact: <sip:alice@10.0.0.2:40000;transport=tcp>
Expires: 600
Content-Length: {length}
)";

const std::string registered = R"(
SIP/2.0 200 OK
Via: SIP/2.0/TCP 203.0.113.1:40000;branch=z9hG4bKr1;rport=40000;received=203.0.113.1
From: <sip:alice@example.net>;tag=r
To: <sip:alice@example.net>;tag=s
Call-ID: register-1
CSeq: 1 REGISTER
Contact: <sip:alice@203.0.113.1:40000;transport=tcp>;expires=600
Content-Length: {length}
)";

const std::string incoming = R"(
INVITE sip:alice@203.0.113.1:40000;transport=tcp SIP/2.0
Via: SIP/2.0/TCP 203.0.113.2:5060;branch=z9hG4bKi1
From: <sip:bob@example.net>;tag=b
To: <sip:alice@example.net>
Call-ID: call-in
CSeq: 1 INVITE
Contact: <sip:bob@203.0.113.2:5060;transport=tcp>
Content-Length: {length}
)";

struct TcpWorld : World {
  TcpWorld() { protocol = Protocol::tcp; }
  bool has_signalling_door() const {
    for (const auto& [handle, door] : kernel.living)
      if (door.kind == KernelDoor::Kind::inbound && door.signalling) return true;
    return false;
  }
};

}  // namespace

TEST_CASE("TCP: a Contact with the connection's own port is the connection's mapping and needs no door") {
  TcpWorld world;
  const auto sent = world.out(connection, provider, sip_text(register_by_connection));
  CHECK(sent == with(sip_text(register_by_connection), "10.0.0.2:40000", outside_of_it));
  const auto back = world.delivered(provider, outside_of_it, sip_text(registered));
  CHECK(back == with(with(sip_text(registered), outside_of_it, "10.0.0.2:40000"), "received=203.0.113.1", "received=10.0.0.2"));
  CHECK_FALSE(world.has_signalling_door());
  REQUIRE(world.engine.registrations(world.now).size() == 1);

  const auto call = world.delivered(provider, outside_of_it, sip_text(incoming));
  CHECK(call == with(sip_text(incoming), outside_of_it, "10.0.0.2:40000"));
  world.pass_time(std::chrono::hours{2});
  CHECK(world.engine.registrations(world.now).empty());
  CHECK(world.doors() == 0);
}

TEST_CASE("TCP: a Contact with another port makes a TCP door for the registrar, which takes a new connection") {
  TcpWorld world;
  const auto listening = [](const std::string& text) { return with(with(text, "@10.0.0.2:40000", "@10.0.0.2:5070"), "@203.0.113.1:40000", "@203.0.113.1:5070"); };
  world.out(connection, provider, sip_text(listening(register_by_connection)));
  const auto back = world.delivered(provider, outside_of_it, sip_text(listening(registered)));
  CHECK(back.find("<sip:alice@10.0.0.2:5070;transport=tcp>") != std::string::npos);
  REQUIRE(world.door_of("10.0.0.2:5070") == ep("203.0.113.1:5070"));
  for (const auto& [handle, door] : world.kernel.living) CHECK(door.protocol == Protocol::tcp);

  const auto call = world.delivered("203.0.113.2:33000", "203.0.113.1:5070", sip_text(listening(incoming)));
  CHECK(call.starts_with("INVITE sip:alice@10.0.0.2:5070;transport=tcp SIP/2.0\r\n"));
  CHECK_FALSE(world.in("198.51.100.7:33000", "203.0.113.1:5070", sip_text(listening(incoming))));
}

TEST_CASE("TCP: the media of a call over TCP gets UDP doors") {
  TcpWorld world;
  const auto over_tcp = [](const std::string& text) { return with(text, "SIP/2.0/UDP", "SIP/2.0/TCP"); };
  const auto sent = world.out(connection, provider, sip_text(over_tcp(invite)));
  CHECK(sent.find("c=IN IP4 203.0.113.1") != std::string::npos);
  const auto rtp = world.door_of("10.0.0.2:4000");
  REQUIRE(rtp);
  for (const auto& [handle, door] : world.kernel.living) CHECK((door.signalling || door.protocol == Protocol::udp));
}

TEST_CASE("TCP: a Contact without a transport and with another port is reached by UDP and by TCP at one outside port") {
  for (const bool is_taken : {false, true}) {
    TcpWorld world;
    const std::string listening = "@10.0.0.2:5070>";
    const std::string request = with(sip_text(register_by_connection), "@10.0.0.2:40000;transport=tcp>", listening);
    if (is_taken) {  // another phone has the port outside, over UDP
      world.protocol = Protocol::udp;
      std::string other = with(with(request, "10.0.0.2:40000", "10.0.0.3:5070"), listening, "@10.0.0.3:5070>");
      other = with(with(with(other, "SIP/2.0/TCP", "SIP/2.0/UDP"), "Call-ID: register-1", "Call-ID: register-2"), "branch=z9hG4bKr1", "branch=z9hG4bKr2");
      world.out("10.0.0.3:5070", provider, other);
      world.protocol = Protocol::tcp;
    }
    const auto sent = world.out(connection, provider, request);
    const std::size_t at = sent.find("Contact: <sip:alice@") + std::string("Contact: <sip:alice@").size();
    const std::string outside = sent.substr(at, sent.find('>', at) - at);
    CHECK((outside == "203.0.113.1:5070") == !is_taken);
    const auto answer = with(sip_text(registered), "@203.0.113.1:40000;transport=tcp>", "@" + outside + ">");
    CHECK(world.delivered(provider, outside_of_it, answer).find("<sip:alice" + listening) != std::string::npos);
    std::map<Protocol, Endpoint> doors;
    for (const auto& [handle, door] : world.kernel.living)
      if (door.inside == ep("10.0.0.2:5070")) doors[door.protocol] = door.outside;
    CHECK(doors == std::map<Protocol, Endpoint>{{Protocol::udp, ep(outside)}, {Protocol::tcp, ep(outside)}});
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
      world.protocol = protocol;
      const std::string name = protocol == Protocol::udp ? "UDP" : "TCP";
      const auto call = with(with(with(sip_text(incoming), "@203.0.113.1:40000;transport=tcp SIP", "@" + outside + " SIP"), "SIP/2.0/TCP", "SIP/2.0/" + name), "call-in", "call-" + name);
      const auto arrived = world.delivered(protocol == Protocol::udp ? provider : "203.0.113.2:33000", outside, call);
      CHECK(arrived.starts_with("INVITE sip:alice@10.0.0.2:5070 SIP/2.0\r\n"));
    }
  }
}

TEST_CASE("TCP: a Contact without a transport never gets a port that leads to another phone over TCP") {
  TcpWorld world;
  const auto of = [](const std::string& host, const std::string& contact, const std::string& name) {
    std::string text = with(sip_text(register_by_connection), "alice@10.0.0.2:40000;transport=tcp>", "alice@" + contact + ">");
    text = with(with(text, "10.0.0.2:40000", host + ":40000"), "Call-ID: register-1", "Call-ID: " + name);
    return with(text, "branch=z9hG4bKr1", "branch=z9hG4bK" + name);
  };
  const auto contact_in = [](const std::string& text) {
    const std::size_t at = text.find("Contact: <sip:alice@") + std::string("Contact: <sip:alice@").size();
    return text.substr(at, text.find_first_of(";>", at) - at);
  };
  CHECK(contact_in(world.out("10.0.0.2:40000", provider, of("10.0.0.2", "10.0.0.2:5070;transport=tcp", "anna"))) == "203.0.113.1:5070");
  const std::string second = contact_in(world.out("10.0.0.3:40000", provider, of("10.0.0.3", "10.0.0.3:5070", "berta")));
  CHECK(second.starts_with("203.0.113.1:"));
  CHECK(second != "203.0.113.1:5070");
}

TEST_CASE("TCP: a body that streams behind the head is none of ours, the head is") {
  TcpWorld world;
  std::string head = with(sip_text(incoming), "Content-Length: 0", "Content-Type: application/isup\r\nContent-Length: 90000");
  head = with(head, "sip:bob@203.0.113.2:5060", "sip:alice@10.0.0.2:5070");  // a Contact that needs a door, and so two opinions
  const auto flow = Flow{Protocol::tcp, {ep(connection), ep(outside_of_it)}, {ep(provider), ep(provider)}};
  const Verdict verdict = world.engine.handle({head, flow, 65'507, 90'000}, world.now, world.scratch);
  REQUIRE(verdict.edited());
  CHECK(verdict.bytes.find("sip:alice@203.0.113.1:5070;transport=tcp") != std::string_view::npos);
  CHECK(verdict.bytes.find("Content-Length: 90000\r\n") != std::string_view::npos);
  CHECK(world.engine.handle({head, flow, 65'507, 80'000}, world.now, world.scratch).reason == Reason::malformed);
}

TEST_CASE("TCP: an edited message that may not leave as it is leaves no door open; who decides is asked last") {
  TcpWorld world;
  std::string offer = with(sip_text(invite), "SIP/2.0/UDP", "SIP/2.0/TCP");
  const auto flow = Flow{Protocol::tcp, {ep(connection), ep(outside_of_it)}, {ep(provider), ep(provider)}};
  std::vector<std::size_t> asked;
  std::size_t doors_when_asked = 0;
  const auto send = [&](const std::string& text, Reason answer) {
    const std::function<Reason(std::size_t)> may_become = [&](std::size_t size) {
      asked.push_back(size), doors_when_asked = world.kernel.living.size();
      return answer;
    };
    return world.engine.handle({text, flow, 65'507, 0, &may_become}, world.now, world.scratch);
  };
  CHECK(send(offer, Reason::table_full).reason == Reason::table_full);
  CHECK(doors_when_asked > 0);
  CHECK(world.kernel.living.empty());
  CHECK(world.engine.stats().of_groups(Reason::table_full) > 0);
  const Verdict verdict = send(with(with(offer, "branch=z9hG4bK1", "branch=z9hG4bK2"), "call-1", "call-2"), Reason::edited);
  REQUIRE(verdict.edited());
  CHECK(asked.back() == verdict.bytes.size());
  CHECK(world.kernel.living.size() == doors_when_asked);
  asked.clear();
  CHECK(send(with(with(sip_text(incoming), "INVITE", "OPTIONS"), "INVITE", "OPTIONS"), Reason::edited).reason != Reason::edited);
  CHECK(asked.empty());  // nothing of it is edited
}
