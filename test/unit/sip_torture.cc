// SPDX-License-Identifier: GPL-2.0-or-later
// Messages that nobody here wrote: RFC 4475, RFC 5118, RFC 3665, captured calls; and every truncation of a rich message.
#include <map>

#include "test/unit/support.h"

using namespace sipalg;
using namespace sipalg::sip;
using test::Sample;
using test::Scanned;

namespace {

void check_spans(const Scanned& s) {
  const Message& m = s.message;
  const auto inside = [&](Span span) { return span.begin <= span.end && span.end <= m.head.end; };
  const auto check_list = [&](const auto& list) {
    for (const NameAddr& one : list) CHECK((inside(one.value) && inside(one.uri.whole) && inside(one.uri.host.whole()) && inside(one.tag)));
  };
  for (const Via& via : m.vias) CHECK((inside(via.value) && inside(via.sent_by.whole()) && inside(via.branch) && inside(via.rport)));
  check_list(m.contacts), check_list(m.record_routes), check_list(m.routes), check_list(m.paths), check_list(m.service_routes);
  CHECK(m.body.end <= s.exact.view().size());
  CHECK(m.body.begin == m.head.end);
}

}  // namespace

TEST_CASE("RFC 4475: what is valid is read, what is torn is not") {
  const auto samples = test::read_folder("rfc4475");
  if (samples.empty()) WARN("inputs/rfc4475 is absent: skipped");
  // Not in the table: read without any doubt.
  const std::map<std::string, std::string> expected{
      {"baddn.dat", "no-blank-line"}, {"badvers.dat", "not-sip"}, {"bigcode.dat", "not-sip"}, {"clerr.dat", "body-too-short"}, {"insuf.dat", "missing-header"},
      {"intmeth.dat", "nul-in-head"},  // a NUL in a quoted pair is legal; parsers written in C read something else there
      {"ltgtruri.dat", "bad-uri"}, {"lwsruri.dat", "bad-uri"}, {"mcl01.dat", "duplicate-header"}, {"multi01.dat", "duplicate-header"}, {"ncl.dat", "bad-content-length"},
      {"quotbal.dat", "bad-name-addr"}, {"scalar02.dat", "bad-cseq"}, {"scalarlg.dat", "bad-cseq"}, {"test.dat", "not-sip"},
      {"badinv01.dat", "unreadable lower-via"}, {"regbadct.dat", "unreadable contact"}, {"badaspec.dat", "unreadable to"},
  };
  for (const Sample& sample : samples) {
    INFO(sample.name);
    const Scanned s(sample.bytes);
    const auto found = expected.find(sample.name);
    const std::string want = found == expected.end() ? "ok" : found->second;
    if (want == "unreadable lower-via") {
      CHECK(s.message.is_unreadable(Unreadable::lower_via));
    } else if (want == "unreadable contact") {
      CHECK(s.message.is_unreadable(Unreadable::contact));
    } else if (want == "unreadable to") {
      CHECK(s.message.is_unreadable(Unreadable::to));
    } else {
      CHECK(s.error() == want);
      if (s.ok()) CHECK(s.message.unreadable == 0);
    }
    if (s.ok()) check_spans(s);
  }
}

TEST_CASE("RFC 4475: a short tortuous INVITE") {
  const auto samples = test::read_folder("rfc4475");
  for (const Sample& sample : samples) {
    if (sample.name != "wsinv.dat") continue;
    const Scanned s(sample.bytes);
    REQUIRE(s.ok());
    const Message& m = s.message;
    CHECK(m.cseq == 9);
    CHECK(s.text(m.call_id) == "wsinv.ndaksdj@192.0.2.1");
    REQUIRE(m.vias.size() == 3);
    CHECK(s.text(m.vias[1].sent_by.host) == "spindle.example.com");
    CHECK(s.text(m.vias[2].sent_by.host) == "192.168.255.111");
    CHECK(s.text(m.to.tag) == "1918181833n");
    CHECK(m.content_length_number == 150U);
    CHECK(s.text(m.contacts[0].uri.host.host) == "example.com");
  }
}

TEST_CASE("RFC 5118: IPv6") {
  const auto samples = test::read_folder("rfc5118");
  if (samples.empty()) WARN("inputs/rfc5118 is absent: skipped");
  for (const Sample& sample : samples) {
    INFO(sample.name);
    const Scanned s(sample.bytes);
    if (sample.name == "ipv6-in-sdp.sip") {  // as published its Content-Length is too large
      CHECK(s.error() == "body-too-short");
      continue;
    }
    REQUIRE(s.error() == "ok");
    check_spans(s);
    const bool is_bad = sample.name == "ipv6-bad.sip" || sample.name == "ipv6-bug-abnf-3-colons.sip";
    CHECK((s.message.unreadable != 0) == is_bad);
    if (sample.name.starts_with("via-received")) CHECK(s.message.vias[0].received.address.has_value());
    if (sample.name == "port-unambiguous.sip") CHECK(s.message.request_uri.host.port_number == 5070);
    if (sample.name == "port-ambiguous.sip") CHECK(s.message.request_uri.host.port_number == 0);
  }
}

TEST_CASE("RFC 3665 and captured calls are read without any doubt") {
  auto samples = test::read_folder("rfc3665");
  auto captured = test::read_captures();
  if (samples.empty() || captured.empty()) WARN("inputs are absent: skipped");
  std::move(captured.begin(), captured.end(), std::back_inserter(samples));
  for (const Sample& sample : samples) {
    if (sample.name == "manifest.json" || sample.name == "159-INVITE.sip") continue;  // the latter ends in the middle of its head
    if (sample.name.starts_with("invalid-content-length")) continue;
    INFO(sample.name);
    const Scanned s(sample.bytes);
    REQUIRE(s.error() == "ok");
    CHECK(s.message.unreadable == 0);
    check_spans(s);
  }
}

TEST_CASE("a message cut anywhere, or with any byte replaced, is survived") {
  const std::string text = test::request(
      "m: \"A\\\"\" <sip:a@[2001:db8::1]:5060;maddr=1.2.3.4;lr>;expires=1;x=\"y\", <sip:c>\r\nVia: SIP/2.0/UDP h (c\\)) , SIP / 2.0 / TCP i:1;received=::1\r\n"
      "Record-Route: <sip:r;lr>\r\nRoute:\r\n <sip:r;lr>\r\nRefer-To: sip:x@y\r\nAuthorization: Digest qop=auth-int\r\nl: 0\r\n");
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const Scanned s(text.substr(0, size));
    if (s.ok()) check_spans(s);
  }
  for (std::size_t at = 0; at < text.size(); ++at)
    for (char c : std::string_view("\0\r\n \"<>,;:@[\\(*", 16)) {
      std::string changed = text;
      changed[at] = c;
      const Scanned s(changed);
      if (s.ok()) check_spans(s);
    }
}
