// SPDX-License-Identifier: GPL-2.0-or-later
// nettype, addrtype, connection-address.
#include "alg/sdp/connection.h"

namespace sipalg::sdp {

bool read_connection(Word nettype, Word addrtype, Word address, Connection& out) noexcept {
  if (nettype.empty() || addrtype.empty()) return false;
  const std::size_t slash = address.text.find('/');
  if (slash != std::string_view::npos) address = address.first(slash);
  if (address.empty()) return false;
  out.address_text = address.span;
  out.is_ipv6_type = equals_ignoring_case(addrtype.text, "IP6");
  if (equals_ignoring_case(nettype.text, "IN")) out.address = parse_address(address.text);
  return true;
}

bool parse_connection(LineCursor& line, Connection& out) noexcept {
  const Word nettype = line.next(), addrtype = line.next();
  return read_connection(nettype, addrtype, line.next(), out);
}

}  // namespace sipalg::sdp
