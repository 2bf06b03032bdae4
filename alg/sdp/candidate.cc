// SPDX-License-Identifier: GPL-2.0-or-later
// Attributes that repeat an endpoint of a media line.
#include "alg/sdp/candidate.h"

#include <algorithm>

namespace sipalg::sdp {
namespace {

uint8_t last_media(const Session& session) noexcept { return static_cast<uint8_t>(session.media.size() - 1); }

// What Candidate and Alternative have in common. False: a field is missing, or the port is no port.
template <typename T> bool read_endpoint(Word address, Word port, T& out) noexcept {
  const auto number = parse_number(port.text, 65'535);
  if (address.empty() || !number) return false;
  out.address_text = address.span;
  out.address = parse_address(address.text);
  out.port = port.span;
  out.port_number = static_cast<uint16_t>(*number);
  return true;
}

Word find_path_host(Word uri) noexcept {
  const std::size_t slashes = uri.text.find("://");
  if (slashes == std::string_view::npos) return {};
  uri = uri.from(slashes + 3);
  uri = uri.first(std::min(uri.text.find_first_of("/;?"), uri.text.size()));
  const std::size_t at_sign = uri.text.find('@');
  return at_sign == std::string_view::npos ? uri : uri.from(at_sign + 1);
}

}  // namespace

// foundation component transport priority address port "typ" ...
bool read_candidate(LineCursor line, Session& session) noexcept {
  Candidate one;
  one.media = last_media(session);
  line.next();
  const auto component = parse_number(line.next().text);
  one.is_tcp = equals_ignoring_case(line.next().text, "tcp");
  line.next();
  const Word address = line.next();
  if (!component || !read_endpoint(address, line.next(), one)) return true;
  return session.candidates.push(one);
}

// *( component address port )
bool read_remote_candidates(LineCursor line, Session& session) noexcept {
  for (;;) {
    Candidate one;
    one.media = last_media(session);
    one.is_remote = true;
    const auto component = parse_number(line.next().text);
    const Word address = line.next();
    if (!component || !read_endpoint(address, line.next(), one)) return true;
    if (!session.candidates.push(one)) return false;
  }
}

// number addrtype address port
bool read_altc(LineCursor line, Session& session) noexcept {
  Alternative one;
  one.media = last_media(session);
  line.next();
  line.next();
  const Word address = line.next();
  return !read_endpoint(address, line.next(), one) || session.alternatives.push(one);
}

// The first URI is the sender's own. An IPv6 address is taken without its brackets.
bool read_path(LineCursor line, Session& session) noexcept {
  Alternative one;
  one.media = last_media(session);
  one.is_msrp_path = true;
  const Word authority = find_path_host(line.next());
  const std::size_t colon = authority.text.rfind(':');
  if (colon == std::string_view::npos) return true;
  Word host = authority.first(colon);
  if (host.text.starts_with('[') && host.text.ends_with(']')) host = host.first(host.text.size() - 1).from(1);
  return !read_endpoint(host, authority.from(colon + 1), one) || session.alternatives.push(one);
}

}  // namespace sipalg::sdp
