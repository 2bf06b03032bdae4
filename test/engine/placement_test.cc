// SPDX-License-Identifier: GPL-2.0-or-later
// A record-routing proxy inside, in front of a phone: what it may name, and what comes back to it.
#include <catch2/catch.hpp>

#include "test/engine/call_messages.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

const std::string inside_proxy = "10.0.0.10:5060";

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// The phone's INVITE as the proxy sends it on.
const std::string invite_by_proxy =
    with(invite, "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport\n",
         "Record-Route: <sip:10.0.0.10;lr>\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bKp1\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\n");
const std::string ok_to_proxy =
    with(ok_to_invite, "Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1;received=203.0.113.1;rport=5060\n",
         "Record-Route: <sip:203.0.113.1;lr>\nVia: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKp1\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\n");

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

// The phone's answer, as the proxy sends it on: no Record-Route of its own (RFC 3261 section 16.6 step 4), no inside Via.
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

void set_up(World& world) {
  REQUIRE(contains(world.out(inside_proxy, provider, sip_text(invite_by_proxy)), "c=IN IP4 203.0.113.1\r\n"));
  const std::string answer = world.delivered(provider, w, sip_text(ok_to_proxy));
  CHECK(contains(answer, "Record-Route: <sip:10.0.0.10;lr>\r\nVia: SIP/2.0/UDP 10.0.0.10;branch=z9hG4bKp1\r\n"));
}

}  // namespace

TEST_CASE("an inside proxy may name the phone behind it for the whole call, in answers too that show nothing of it") {
  World world;
  set_up(world);
  CHECK(contains(world.delivered(provider, w, sip_text(reinvite_from_bob)), "Route: <sip:10.0.0.10;lr>\r\n"));
  const std::string answer = world.out(inside_proxy, provider, sip_text(ok_from_phone));
  CHECK(contains(answer, "o=- 1 2 IN IP4 203.0.113.1\r\n"));
  CHECK(contains(answer, "c=IN IP4 203.0.113.1\r\n"));
  CHECK_FALSE(contains(answer, "Contact: <sip:alice@10.0.0.2"));
  const std::string moved = world.out(inside_proxy, provider, sip_text(with(ok_from_phone, "10.0.0.2\nt=0 0\nm=audio 4000", "10.0.0.3\nt=0 0\nm=audio 4400")));
  CHECK(contains(moved, "c=IN IP4 203.0.113.1\r\n"));
  CHECK(world.door_of("10.0.0.3:4400"));
}

TEST_CASE("a phone that put itself into no Record-Route may not name another host later in the call") {
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.delivered(provider, w, sip_text(reinvite_from_bob));
  const std::string answer = world.out(phone, provider, sip_text(with(ok_from_phone, "10.0.0.2\nt=0 0\nm=audio 4000", "10.0.0.3\nt=0 0\nm=audio 4400")));
  CHECK(contains(answer, "c=IN IP4 10.0.0.3\r\n"));
  CHECK_FALSE(world.door_of("10.0.0.3:4400"));
}
