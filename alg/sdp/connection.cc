// SPDX-License-Identifier: GPL-2.0-or-later
// nettype, addrtype, connection-address.
#include "alg/sdp/connection.h"

namespace sipalg::sdp {

bool read_internet_address(const Word& address, Connection& out) noexcept {
  const char* const end = address.text.data() + address.text.size();
  if (read_v4(address.text.data(), end, out.address) == end) {  // nearly always
    out.address_text = address.span;
    return true;
  }
  const std::size_t slash = address.text.find('/');
  const Word bare = slash == std::string_view::npos ? address : address.first(slash);
  out.address_text = bare.span;
  out.address = parse_address(bare.text);
  return !bare.empty();
}

bool read_connection(const Word& nettype, const Word& addrtype, const Word& address, Connection& out) noexcept {
  if (nettype.empty() || addrtype.empty() || !read_internet_address(address, out)) return false;
  if (!equals_ignoring_case(nettype.text, "IN")) out.address.reset();
  return true;
}

bool parse_connection(LineCursor& line, Connection& out) noexcept {
  constexpr std::string_view usual = "IN IP4 ";
  if (line.rest().starts_with(usual)) {
    line.at += usual.size();
    return read_internet_address(line.next(), out);
  }
  const Word nettype = line.next(), addrtype = line.next();
  return read_connection(nettype, addrtype, line.next(), out);
}

}  // namespace sipalg::sdp
