// SPDX-License-Identifier: GPL-2.0-or-later
// SDP and multipart: the input as a body by itself, and as a message when it is one.
#include "alg/sdp/session.h"
#include "alg/sip/scanner.h"
#include "test/fuzz/check.h"

using namespace sipalg;
using test::check;
using test::check_inside;

namespace {

void check_session(const sdp::Session& s) {
  check_inside(s.origin.address_text, s.origin_line);
  check_inside(s.connection.address_text, s.body);
  for (const auto& media : s.media) {
    check_inside(media.line, s.body);
    check_inside(media.port, media.line);
    check(!media.port.empty());
    check_inside(media.rtcp.port, s.body);
    for (const auto& connection : media.connections) check_inside(connection.address_text, s.body);
  }
  for (const auto& one : s.candidates) {
    check_inside(one.address_text, s.body);
    check_inside(one.port, s.body);
    check(one.media < s.media.size() && one.address_text.end < one.port.begin);
  }
  for (const auto& one : s.alternatives) {
    check_inside(one.address_text, s.body);
    check(one.media < s.media.size() && one.address_text.end < one.port.begin);
  }
}

void scan_body(std::string_view bytes, Span body) {
  static sdp::Session session;
  if (sdp::scan(bytes, body, session)) check_session(session);
}

// The input as what stands behind a head with this Content-Type.
void scan_as(std::string_view content_type, std::string_view body) {
  std::string text = "SIP/2.0 200 OK\nv: SIP/2.0/UDP h\nf: <sip:a@b>\nt: <sip:a@b>\ni: x\nCSeq: 1 INVITE\nc: " + std::string(content_type) + "\n\n";
  text += body;
  static sip::Message message;
  check(sip::scan(text, message).has_value());
  for (const auto& part : sdp::find_parts(text, message).sdp) {
    check(part.body.begin >= message.body.begin && part.body.end <= message.body.end && part.body.begin <= part.body.end);
    check_inside(part.content_length, message.body);
    scan_body(text, part.body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view bytes = test::view_of(data, size);
  scan_body(bytes, {0, static_cast<uint32_t>(size)});
  scan_as("multipart/mixed;boundary=b", bytes);
  static sip::Message message;
  if (!sip::scan(bytes, message)) return 0;
  for (const auto& part : sdp::find_parts(bytes, message).sdp) scan_body(bytes, part.body);
  return 0;
}
