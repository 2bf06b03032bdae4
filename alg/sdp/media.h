// SPDX-License-Identifier: GPL-2.0-or-later
// m= line (RFC 8866 section 5.14).
#pragma once
#include "alg/sdp/line_cursor.h"
#include "alg/sdp/session.h"

namespace sipalg::sdp {

// `line` stands behind "m=". False: kind, port or transport missing, or a port that is no number.
bool parse_media(LineCursor line, Media& media) noexcept;

}  // namespace sipalg::sdp
