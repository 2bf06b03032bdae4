// SPDX-License-Identifier: GPL-2.0-or-later
// SDP bodies: one quirk per case.
#include <catch2/catch.hpp>

#include "alg/sdp/session.h"
#include "test/corpus/corpus.h"

using namespace sipalg;
using namespace sipalg::sdp;

namespace {

// A body at some distance from the start, as in a message, with nothing behind it.
struct Scanned {
  explicit Scanned(std::string_view body)
      : exact("head\r\n\r\n" + std::string(body)), result(scan(exact, {8, static_cast<uint32_t>(8 + body.size())}, session)) {}
  std::string_view text(Span span) const { return span.in(exact); }
  std::string_view error() const { return result ? "ok" : name_of(result.error().error); }
  test::Exact exact;
  Session session;
  std::expected<void, ScanFailure> result;
};

// A session with one media line, and `more` lines behind it.
std::string with(std::string_view more) {
  return "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n" + std::string(more);
}

}  // namespace

TEST_CASE("an ordinary body") {
  const Scanned s("v=0\r\no=alice 1 2 IN IP4 10.0.0.1\r\ns=a call\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\na=sendonly\r\n"
                  "m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtcp:4005 IN IP4 10.0.0.3\r\na=recvonly\r\n"
                  "m=video 5000/2 RTP/SAVPF 31\r\nc=IN IP4 10.0.0.4\r\nc=IN IP4 10.0.0.5\r\na=rtcp:5009\r\na=rtcp-mux\r\na=rtcp-mux-only\r\na=bundle-only\r\na=setup:actpass\r\n");
  REQUIRE(s.error() == "ok");
  const Session& x = s.session;
  CHECK(s.text(x.origin.address_text) == "10.0.0.1");
  CHECK(s.text(x.origin_line) == "o=alice 1 2 IN IP4 10.0.0.1");
  CHECK(s.text(x.connection.address_text) == "10.0.0.2");
  CHECK(x.connection.address == parse_address("10.0.0.2"));
  CHECK(x.direction == Direction::sendonly);
  REQUIRE(x.media.size() == 2);
  const Media &audio = x.media[0], &video = x.media[1];
  CHECK(s.text(audio.line) == "m=audio 4000 RTP/AVP 0 8");
  CHECK(s.text(audio.kind) == "audio");
  CHECK(s.text(audio.port) == "4000");
  CHECK(audio.port_number == 4000);
  CHECK(audio.count == 1);
  CHECK(audio.transport == MediaTransport::rtp);
  CHECK(audio.direction == Direction::recvonly);
  CHECK(s.text(audio.rtcp.port) == "4005");
  CHECK(s.text(audio.rtcp.connection.address_text) == "10.0.0.3");
  CHECK_FALSE(audio.rtcp_mux);
  CHECK(s.text(video.port) == "5000");
  CHECK(video.count == 2);
  REQUIRE(video.connections.size() == 2);
  CHECK(s.text(video.connections[1].address_text) == "10.0.0.5");
  CHECK(video.rtcp.port_number == 5009);
  CHECK_FALSE(video.rtcp.connection.address_text.is_set());
  CHECK((video.rtcp_mux && video.rtcp_mux_only));
  CHECK(video.setup == Setup::actpass);
  CHECK_FALSE(video.direction);
}

TEST_CASE("connection addresses") {
  struct Case { const char *line, *text; bool literal; };
  for (const Case& c : {Case{"IN IP4 224.2.36.42/127", "224.2.36.42", true}, Case{"IN IP4 224.2.1.1/127/3", "224.2.1.1", true},
                        Case{"IN IP6 2001:db8::1", "2001:db8::1", true}, Case{"IN IP6 FF15::101/3", "FF15::101", true},
                        Case{"IN IP4 host.example.com", "host.example.com", false}, Case{"in ip4 0.0.0.0 ", "0.0.0.0", true},
                        Case{"  IN  IP4  10.0.0.2", "10.0.0.2", true}, Case{"TN RFC2543 +1-201-406-4090", "+1-201-406-4090", false}}) {
    INFO(c.line);
    const Scanned s("v=0\r\nc=" + std::string(c.line) + "\r\n");
    REQUIRE(s.error() == "ok");
    CHECK(s.text(s.session.connection.address_text) == c.text);
    CHECK(s.session.connection.address.has_value() == c.literal);
  }
}

TEST_CASE("origins: taken from the end; an odd one stays unset") {
  CHECK(Scanned("v=0\no=Some Gateway 1 1 IN IP4 10.0.0.2 \n").session.origin.address == parse_address("10.0.0.2"));
  for (const char* line : {"- 1 1 IN IP4", "", "x", "- 1 1 ATM NSAP 47.0091"}) {
    const Scanned s("v=0\no=" + std::string(line) + "\n");
    INFO(line);
    CHECK(s.error() == "ok");
    CHECK_FALSE(s.session.origin.address.has_value());
  }
}

TEST_CASE("media transports") {
  struct Case { const char* protocol; MediaTransport transport; };
  using enum MediaTransport;
  for (const Case& c : {Case{"RTP/AVP", rtp}, Case{"RTP/AVPF", rtp}, Case{"RTP/SAVP", rtp}, Case{"rtp/savpf", rtp}, Case{"UDP/TLS/RTP/SAVPF", rtp}, Case{"udp", udp}, Case{"udptl", udp},
                        Case{"UDPTL", udp}, Case{"UDP/BFCP", udp}, Case{"UDP/DTLS/SCTP", udp}, Case{"DTLS/SCTP", udp}, Case{"UDP/TLS/UDPTL", udp}, Case{"TCP", tcp}, Case{"TCP/MSRP", tcp},
                        Case{"TCP/TLS/RTP/SAVP", tcp}, Case{"TCP/BFCP", tcp}, Case{"x", unknown}, Case{"RTP", unknown}, Case{"SCTP", unknown}}) {
    INFO(c.protocol);
    CHECK(Scanned("v=0\nm=audio 4000 " + std::string(c.protocol) + " 0\n").session.media[0].transport == c.transport);
  }
}

TEST_CASE("candidates, remote candidates, altc, path") {
  const Scanned s(with("a=candidate:1 1 UDP 2130706431 10.0.0.2 4000 typ host\r\na=candidate:2 2 udp 1694498815 203.0.113.1 61001 typ srflx raddr 10.0.0.2 rport 4001\r\n"
                       "a=candidate:3 1 tcp 1 2001:db8::1 9 typ host tcptype active\r\na=candidate:4 1 udp 1 x.local 4000 typ host\r\na=candidate:broken\r\na=candidate:5 1 udp 1 10.0.0.2 99999\r\n"
                       "a=remote-candidates:1 192.0.2.4 6000 2 192.0.2.4 6001 3\r\na=altc:1 IP4 10.0.0.2 4000\r\na=altc:2 IP6 2001:db8::1 4000\r\n"
                       "m=message 7654 TCP/MSRP *\r\na=path:msrp://10.0.0.2:7654/jshA7we;tcp msrp://other:1/x\r\na=path:msrps://u@[2001:db8::2]:7655/x\r\na=path:msrp://nohost/x;tcp\r\na=path:x\r\n"));
  REQUIRE(s.error() == "ok");
  const auto& c = s.session.candidates;
  REQUIRE(c.size() == 6);
  CHECK(s.text(c[0].address_text) == "10.0.0.2");
  CHECK(s.text(c[0].port) == "4000");
  CHECK(c[1].port_number == 61001);
  CHECK(c[2].address == parse_address("2001:db8::1"));
  CHECK_FALSE(c[3].address);
  CHECK((c[4].is_remote && c[5].is_remote && !c[0].is_remote));
  CHECK(s.text(c[5].port) == "6001");
  const auto& a = s.session.alternatives;
  REQUIRE(a.size() == 4);
  CHECK(s.text(a[0].address_text) == "10.0.0.2");
  CHECK(a[1].address == parse_address("2001:db8::1"));
  CHECK((a[2].is_msrp_path && a[2].media == 1 && !a[0].is_msrp_path));
  CHECK(s.text(a[2].address_text) == "10.0.0.2");
  CHECK(s.text(a[2].port) == "7654");
  CHECK(s.text(a[3].address_text) == "2001:db8::2");
}

TEST_CASE("attributes that only look like others") {
  const Scanned s(with("a=rtcp-fb:* nack\r\na=rtcp-rsize\r\na=rtcp-muxed\r\na=rtcpx:1\r\na=rtcp\r\na=sendrecvx\r\na=RTCP-MUX\r\na=\r\na=:\r\na=setup:\r\n"));
  REQUIRE(s.error() == "ok");
  const Media& m = s.session.media[0];
  CHECK_FALSE(m.rtcp.port.is_set());
  CHECK_FALSE(m.rtcp_mux);
  CHECK_FALSE(m.direction);
  CHECK(m.setup == Setup::none);
}

TEST_CASE("what fails") {
  struct Case { std::string body; const char* error; };
  std::string media, connections, candidates;
  for (std::size_t i = 0; i < limits::media_lines; ++i) media += "m=audio 1 RTP/AVP 0\n";
  for (std::size_t i = 0; i <= limits::candidates; ++i) candidates += "a=candidate:1 1 udp 1 10.0.0.2 4000 typ host\n";
  for (const Case& c : {
           Case{"", "empty"}, Case{"\r\n\r\n", "empty"}, Case{"o=x\r\nv=0\r\n", "no-version"}, Case{"hello", "bad-line"}, Case{"v=0\r\nhello\r\n", "bad-line"}, Case{"v=0\r\nx\r\n", "bad-line"},
           Case{"v=0\r\n =x\r\n", "ok"}, Case{"v=0\rc=IN IP4 10.0.0.2\r\n", "bad-line"}, Case{"v=0\r\ns=\r\r\n", "bad-line"}, Case{std::string("v=0\r\ns=\0\r\n", 10), "bad-line"},
           Case{"v=0\no=- 1 1 IN IP4 1.2.3.4\no=- 1 1 IN IP4 1.2.3.4\n", "bad-origin"}, Case{"v=0\nc=IN IP4\n", "bad-connection"}, Case{"v=0\nc=\n", "bad-connection"},
           Case{"v=0\nc=IN IP4 /127\n", "bad-connection"}, Case{"v=0\nc=IN IP4 1.2.3.4\nc=IN IP4 1.2.3.5\n", "bad-connection"}, Case{"v=0\nm=audio\n", "bad-media"},
           Case{"v=0\nm=audio x RTP/AVP 0\n", "bad-media"}, Case{"v=0\nm=audio 4000\n", "bad-media"}, Case{"v=0\nm=audio 4000/ RTP/AVP 0\n", "bad-media"},
           Case{"v=0\nm=audio 99999999999 RTP/AVP 0\n", "bad-media"}, Case{"v=0\nm=audio 70000 RTP/AVP 0\n", "ok"}, Case{"v=0\nm=audio 4000 RTP/AVP", "ok"}, Case{"v=0\nm=\n", "bad-media"},
           Case{with("a=rtcp:\r\n"), "bad-attribute"}, Case{with("a=rtcp:x\r\n"), "bad-attribute"}, Case{with("a=rtcp:4001 IN IP4\r\n"), "bad-attribute"},
           Case{with("a=rtcp:70000\r\n"), "bad-attribute"}, Case{with("a=rtcp:1\r\na=rtcp:2\r\n"), "bad-attribute"}, Case{"v=0\n" + media, "ok"},
           Case{"v=0\n" + media + "m=audio 1 RTP/AVP 0\n", "too-many"}, Case{with(candidates), "too-many"}, Case{with("c=IN IP4 1\nc=IN IP4 1\nc=IN IP4 1\nc=IN IP4 1\n"), "ok"},
           Case{with("c=IN IP4 1\nc=IN IP4 1\nc=IN IP4 1\nc=IN IP4 1\nc=IN IP4 1\n"), "too-many"}, Case{"v=0\r", "ok"}, Case{"v=0", "ok"}, Case{"\r\nv=0\r\n\r\ns=-\r\n", "ok"},
       }) {
    INFO(c.body.substr(0, 80));
    CHECK(Scanned(c.body).error() == c.error);
  }
}

TEST_CASE("a body leaves nothing in the next, and cut anywhere it is survived") {
  const std::string rich = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\nc=IN IP4 10.0.0.2\r\na=inactive\r\na=setup:active\r\nm=audio 4000/2 RTP/AVP 0\r\nc=IN IP4 10.0.0.9\r\na=rtcp:4001 IN IP4 10.0.0.2\r\n"
                           "a=candidate:1 1 udp 1 10.0.0.2 4000 typ host\r\na=altc:1 IP4 10.0.0.2 4000\r\na=path:msrp://[::1]:1/x\r\na=rtcp-mux\r\n";
  Session session;
  const test::Exact first(rich), second("v=0\nm=audio 1 RTP/AVP 0\n");
  REQUIRE(scan(first, {0, static_cast<uint32_t>(rich.size())}, session));
  REQUIRE(scan(second, {0, static_cast<uint32_t>(second.view().size())}, session));
  CHECK_FALSE(session.origin_line.is_set());
  CHECK_FALSE(session.origin.address_text.is_set());
  CHECK_FALSE(session.connection.address_text.is_set());
  CHECK_FALSE(session.direction);
  CHECK(session.setup == Setup::none);
  CHECK(session.candidates.empty());
  CHECK(session.alternatives.empty());
  CHECK(session.media.size() == 1);
  CHECK(session.media[0].connections.empty());
  CHECK_FALSE(session.media[0].rtcp.port.is_set());
  CHECK(session.media[0].count == 1);
  CHECK_FALSE(session.media[0].rtcp_mux);
  for (std::size_t size = 0; size < rich.size(); ++size) {
    const test::Exact cut(std::string_view(rich).substr(0, size));
    static_cast<void>(scan(cut, {0, static_cast<uint32_t>(size)}, session));
  }
}

TEST_CASE("SDP that nobody here wrote") {
  const auto samples = test::read_folder("libosip2");
  if (samples.empty()) WARN("inputs/libosip2 is absent: skipped");
  std::size_t read = 0;
  for (const auto& sample : samples) {
    if (!sample.name.starts_with("sdp")) continue;
    INFO(sample.name);
    const Scanned s(sample.bytes);
    CHECK(s.error() == "ok");
    CHECK(s.session.origin_line.is_set());
    ++read;
  }
  CHECK((samples.empty() || read == 16));
}
