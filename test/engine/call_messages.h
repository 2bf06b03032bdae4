// SPDX-License-Identifier: GPL-2.0-or-later
// The messages of an ordinary call and registration, as a phone behind the router and its provider write them.
#pragma once
#include <string>

namespace sipalg::test {

inline const std::string phone = "10.0.0.2:5060", provider = "203.0.113.2:5060", w = "203.0.113.1:5060";

inline const std::string invite = R"(
INVITE sip:bob@example.net SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport
Max-Forwards: 70
From: "Alice" <sip:alice@10.0.0.2>;tag=a1
To: <sip:bob@example.net>
Call-ID: call-1@10.0.0.2
CSeq: 1 INVITE
Contact: <sip:alice@10.0.0.2:5060;ob>
Subject: my address is 10.0.0.2
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 1 1 IN IP4 10.0.0.2
s=10.0.0.2
c=IN IP4 10.0.0.2
t=0 0
m=audio 4000 RTP/AVP 0
a=rtcp:4001 IN IP4 10.0.0.2
a=candidate:1 1 UDP 2130706431 10.0.0.2 4000 typ host
a=candidate:1 2 UDP 2130706430 10.0.0.2 4001 typ host
a=candidate:2 1 UDP 1694498815 198.51.100.9 7000 typ srflx raddr 10.0.0.2 rport 4000
)";

inline const std::string ok_to_invite = R"(
SIP/2.0 200 OK
Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1;received=203.0.113.1;rport=5060
From: "Alice" <sip:alice@203.0.113.1>;tag=a1
To: <sip:bob@example.net>;tag=b1
Call-ID: call-1@10.0.0.2
CSeq: 1 INVITE
Contact: <sip:bob@203.0.113.2:5080>
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 7 7 IN IP4 203.0.113.3
s=-
c=IN IP4 203.0.113.3
t=0 0
m=audio 30000 RTP/AVP 0
)";

inline const std::string ack = R"(
ACK sip:bob@203.0.113.2:5080 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK2;rport
From: "Alice" <sip:alice@10.0.0.2>;tag=a1
To: <sip:bob@example.net>;tag=b1
Call-ID: call-1@10.0.0.2
CSeq: 1 ACK
Content-Length: {length}
)";

inline const std::string bye_from_bob = R"(
BYE sip:alice@203.0.113.1:5060;ob SIP/2.0
Via: SIP/2.0/UDP 203.0.113.2:5080;branch=z9hG4bKb9
From: <sip:bob@example.net>;tag=b1
To: "Alice" <sip:alice@203.0.113.1>;tag=a1
Call-ID: call-1@10.0.0.2
CSeq: 77 BYE
Content-Length: {length}
)";

inline const std::string ok_to_bye = R"(
SIP/2.0 200 OK
Via: SIP/2.0/UDP 203.0.113.2:5080;branch=z9hG4bKb9
From: <sip:bob@example.net>;tag=b1
To: "Alice" <sip:alice@10.0.0.2>;tag=a1
Call-ID: call-1@10.0.0.2
CSeq: 77 BYE
Content-Length: {length}
)";

inline const std::string registration = R"(
REGISTER sip:example.net SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKr1
From: <sip:alice@example.net>;tag=r1
To: <sip:alice@example.net>
Call-ID: reg-1
CSeq: 1 REGISTER
Contact: <sip:alice@10.0.0.2>;expires=600
Content-Length: {length}
)";

inline const std::string ok_to_registration = R"(
SIP/2.0 200 OK
Via: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKr1;received=203.0.113.1
From: <sip:alice@example.net>;tag=r1
To: <sip:alice@example.net>;tag=x
Call-ID: reg-1
CSeq: 1 REGISTER
Contact: <sip:alice@203.0.113.1>;expires=60
Contact: <sip:alice@198.51.100.77:5060>;expires=1000
Content-Length: {length}
)";

inline const std::string invite_from_bob = R"(
INVITE sip:alice@203.0.113.1 SIP/2.0
Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKi1
From: <sip:bob@example.net>;tag=b7
To: <sip:alice@example.net>
Call-ID: call-7
CSeq: 1 INVITE
Contact: <sip:bob@203.0.113.2:5060>
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 7 7 IN IP4 203.0.113.3
s=-
c=IN IP4 203.0.113.3
t=0 0
m=audio 30000 RTP/AVP 0
)";

inline const std::string ok_from_alice = R"(
SIP/2.0 200 OK
Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKi1
From: <sip:bob@example.net>;tag=b7
To: <sip:alice@example.net>;tag=a7
Call-ID: call-7
CSeq: 1 INVITE
Contact: <sip:alice@10.0.0.2>
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 3 3 IN IP4 10.0.0.2
s=-
c=IN IP4 10.0.0.2
t=0 0
m=audio 4000 RTP/AVP 0
)";

}  // namespace sipalg::test
