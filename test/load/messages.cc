// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/messages.h"

#include <stdexcept>

namespace sipalg::load {
namespace {

constexpr std::array<std::string_view, kinds> names{"INVITE", "100", "180", "200 to INVITE", "ACK", "re-INVITE", "BYE",
                                                    "200 to BYE", "INFO", "200 to INFO", "REGISTER", "200 to REGISTER",
                                                    "OPTIONS", "200 to OPTIONS"};

constexpr std::string_view call_headers = "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE, PRACK\r\n"
                                          "Supported: replaces, 100rel, timer\r\n";

std::string endpoint(const std::string& host, uint16_t port) { return host + ":" + std::to_string(port); }

std::string_view method_of(Kind kind) {
  switch (kind) {
    case Kind::ack: return "ACK";
    case Kind::bye: case Kind::bye_ok: return "BYE";
    case Kind::info: case Kind::info_ok: return "INFO";
    case Kind::refresh: case Kind::refresh_ok: return "REGISTER";
    case Kind::options: case Kind::options_ok: return "OPTIONS";
    default: return "INVITE";
  }
}

bool has_to_tag(Kind kind) {
  return kind != Kind::invite && kind != Kind::trying && kind != Kind::refresh && kind != Kind::options;
}

std::string first_line(Kind kind, const Ends& ends) {
  if (kind == Kind::trying) return "SIP/2.0 100 Trying";
  if (kind == Kind::ringing) return "SIP/2.0 180 Ringing";
  if (!leaves_inside(kind)) return "SIP/2.0 200 OK";
  const std::string method(method_of(kind));
  if (!outside_of_calls(kind).empty()) return method + " sip:example.net SIP/2.0";
  if (kind == Kind::invite) return method + " sip:bob@example.net SIP/2.0";
  return method + " sip:bob@" + endpoint(ends.outside_host, ends.outside_port) + " SIP/2.0";
}

// A server adds where the request came from (RFC 3581 section 4).
std::string via(Kind kind, const Style& style, const Ends& ends) {
  const std::string text = "Via: SIP/2.0/" + std::string(style.transport) + " " + endpoint(ends.inside_host, ends.inside_port) +
                           ";branch=z9hG4bK{branch}";
  if (leaves_inside(kind)) return text + ";rport";
  return text + ";rport=" + std::to_string(ends.inside_port) + ";received=" + ends.inside_host;
}

std::string parties(Kind kind) {
  const bool is_register = method_of(kind) == "REGISTER";
  return std::string("From: \"Alice\" <sip:alice@example.net>;tag=a{call}\r\n") +
         (is_register ? "To: <sip:alice@example.net>" : "To: <sip:bob@example.net>") + (has_to_tag(kind) ? ";tag=b{call}\r\n" : "\r\n");
}

std::string contact(Kind kind, const Ends& ends) {
  const std::string inside = "Contact: <sip:alice@" + endpoint(ends.inside_host, ends.inside_port) + ">";
  if (method_of(kind) == "REGISTER") return inside + ";expires=3600\r\n";
  if ((method_of(kind) != "INVITE" && kind != Kind::options) || kind == Kind::trying) return "";
  return leaves_inside(kind) ? inside + "\r\n" : "Contact: <sip:bob@" + endpoint(ends.outside_host, ends.outside_port) + ">\r\n";
}

// The side that writes it names its own address and the call's media port.
std::string sdp(Kind kind, const Ends& ends) {
  const std::string& host = leaves_inside(kind) ? ends.inside_host : ends.outside_host;
  return "v=0\r\no=- 2890844526 2890844526 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host +
         "\r\nt=0 0\r\nm=audio {media} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
         "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";
}

std::string text_of(Kind kind, const Style& style, const Ends& ends, const std::string& filling) {
  std::string text = first_line(kind, ends) + "\r\n" + via(kind, style, ends) + "\r\n";
  if (leaves_inside(kind)) text += "Max-Forwards: 70\r\n";
  text += parties(kind) + "Call-ID: {call}-7f3c1d2e9ab4@alice\r\nCSeq: {cseq} " + std::string(method_of(kind)) + "\r\n" +
          contact(kind, ends);
  const bool is_ok = first_line(kind, ends) == "SIP/2.0 200 OK";
  if (has_sdp(kind) || is_ok) text += call_headers;
  text += "User-Agent: load/1.0\r\n" + filling;
  if (has_sdp(kind)) return text + "Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n" + sdp(kind, ends);
  return text + "Content-Length: {length}\r\n\r\n";
}

// Headers as phones and proxies send them, and no address in them.
std::string filling_of(std::size_t bytes) {
  static const std::string_view realistic =
      "P-Asserted-Identity: \"Alice\" <sip:+4930123456@example.net;user=phone>\r\n"
      "Session-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n"
      "Accept: application/sdp, application/dtmf-relay, multipart/mixed\r\n"
      "Authorization: Digest username=\"alice\", realm=\"example.net\", nonce=\"YyOgrGMjn4AzJRZwMPMn4Zz9s3xFZ5aP\", "
      "uri=\"sip:bob@example.net\", response=\"0c5a1f41b4c6fd7e2e1d8bd1cf7b2f0a\", algorithm=MD5, cnonce=\"8d1f\", qop=auth, nc=00000001\r\n";
  constexpr std::string_view name = "X-Trace: ";
  std::string text = bytes > realistic.size() + name.size() + 2 ? std::string(realistic) : std::string();
  const std::size_t left = bytes - text.size();
  if (left < name.size() + 2) throw std::logic_error("a message is too long already");
  return text + std::string(name) + std::string(left - name.size() - 2, 'x') + "\r\n";
}

}  // namespace

bool has_sdp(Kind kind) { return kind == Kind::invite || kind == Kind::answer || kind == Kind::reinvite; }

std::string_view outside_of_calls(Kind kind) {
  const std::string_view method = method_of(kind);
  return method == "REGISTER" || method == "OPTIONS" ? method : std::string_view();
}

std::string_view name_of(Kind kind) { return names[static_cast<std::size_t>(kind)]; }

bool leaves_inside(Kind kind) {
  switch (kind) {
    case Kind::invite: case Kind::ack: case Kind::reinvite: case Kind::bye: case Kind::info: case Kind::refresh: case Kind::options: return true;
    default: return false;
  }
}

std::string marked_text(Kind kind, const Style& style, const Ends& written, const Ends& seen) {
  if (!style.large) return text_of(kind, style, seen, "");
  const std::size_t bare = Template(text_of(kind, style, written, "")).size();
  return text_of(kind, style, seen, filling_of(large_bytes - bare));
}

}  // namespace sipalg::load
