// SPDX-License-Identifier: GPL-2.0-or-later
// nettype SP addrtype SP connection-address, as in c=, o= and a=rtcp (RFC 8866 sections 5.2 and 5.7).
#pragma once
#include "alg/sdp/line_cursor.h"
#include "alg/sdp/session.h"

namespace sipalg::sdp {

// Fills the address, a TTL or count behind it cut off. False: it is missing; `out` is undefined then.
bool read_internet_address(const Word& address, Connection& out) noexcept;

// Fills from the three fields. False: one is missing; `out` is undefined then.
bool read_connection(const Word& nettype, const Word& addrtype, const Word& address, Connection& out) noexcept;

// The three next fields of the line.
bool parse_connection(LineCursor& line, Connection& out) noexcept;

}  // namespace sipalg::sdp
