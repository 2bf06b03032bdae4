// SPDX-License-Identifier: GPL-2.0-or-later
// Attributes that repeat an endpoint of a media line: a=candidate, a=remote-candidates (RFC 8839), a=altc (RFC 6947),
// a=path (RFC 4975).
#pragma once
#include "alg/sdp/line_cursor.h"
#include "alg/sdp/session.h"

namespace sipalg::sdp {

// `line` stands behind the colon of a line of the last media line. What can not be read is left out.
// False: the list of the session is full.
bool read_candidate(LineCursor line, Session& session) noexcept;
bool read_remote_candidates(LineCursor line, Session& session) noexcept;
bool read_altc(LineCursor line, Session& session) noexcept;
bool read_path(LineCursor line, Session& session) noexcept;

}  // namespace sipalg::sdp
