// SPDX-License-Identifier: GPL-2.0-or-later
// m= line.
#include "alg/sdp/media.h"

namespace sipalg::sdp {
namespace {

bool begins_with(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

MediaTransport transport_of(std::string_view protocol) noexcept {
  if (begins_with(protocol, "RTP/") || begins_with(protocol, "UDP/TLS/RTP/")) return MediaTransport::rtp;
  if (begins_with(protocol, "UDP/") || begins_with(protocol, "DTLS/")) return MediaTransport::udp;
  if (equals_ignoring_case(protocol, "udp") || equals_ignoring_case(protocol, "udptl")) return MediaTransport::udp;
  if (begins_with(protocol, "TCP/") || equals_ignoring_case(protocol, "TCP")) return MediaTransport::tcp;
  return MediaTransport::unknown;
}

// port ["/" number-of-ports]
bool read_port(Word word, Media& media) noexcept {
  if (const auto number = parse_number(word.text)) {
    media.port = word.span;
    media.port_number = *number;
    return true;
  }
  const std::size_t slash = word.text.find('/');
  if (slash == std::string_view::npos) return false;
  const Word port = word.first(slash);
  const auto number = parse_number(port.text), count = parse_number(word.from(slash + 1).text);
  if (!number || !count) return false;
  media.port = port.span;
  media.port_number = *number;
  media.count = *count;
  return true;
}

}  // namespace

bool parse_media(LineCursor line, Media& media) noexcept {
  media.line = {line.offset() - 2, line.offset() + static_cast<uint32_t>(line.rest().size())};
  media.kind = line.next().span;
  if (media.kind.empty() || !read_port(line.next(), media)) return false;
  const Word protocol = line.next();
  media.transport = transport_of(protocol.text);
  return !protocol.empty();
}

}  // namespace sipalg::sdp
