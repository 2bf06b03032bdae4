// SPDX-License-Identifier: GPL-2.0-or-later
// a= lines that name an endpoint or say how a media line is used.
#pragma once
#include <optional>

#include "alg/sdp/line_cursor.h"
#include "alg/sdp/session.h"

namespace sipalg::sdp {

// `line` stands behind "a="; it belongs to the last media line, or to the session when there is none. Attributes without
// meaning for the ALG, and an a=candidate, a=altc or a=path that can not be read, are passed over.
// bad_attribute: an a=rtcp of a media line that can not be read. too_many.
std::optional<ScanError> read_attribute(LineCursor line, Session& session, Media* media) noexcept;

}  // namespace sipalg::sdp
