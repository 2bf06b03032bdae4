// SPDX-License-Identifier: GPL-2.0-or-later
// nettype SP addrtype SP connection-address, as in c=, o= and a=rtcp (RFC 8866 sections 5.2 and 5.7).
#pragma once
#include "alg/sdp/line_cursor.h"
#include "alg/sdp/session.h"

namespace sipalg::sdp {

// Fills from the three fields. False: one is missing.
bool read_connection(Word nettype, Word addrtype, Word address, Connection& out) noexcept;

// The three next fields of the line.
bool parse_connection(LineCursor& line, Connection& out) noexcept;

}  // namespace sipalg::sdp
