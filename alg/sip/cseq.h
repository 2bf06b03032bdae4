// SPDX-License-Identifier: GPL-2.0-or-later
// CSeq: 1*DIGIT LWS Method (RFC 3261 section 20.16).
#pragma once
#include "alg/sip/cursor.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

// The whole value, blanks around it cut off; the cursor is used up. False: not of that form, or the number is beyond 2^32 - 1.
bool parse_cseq(Cursor& value, Message& message) noexcept;

}  // namespace sipalg::sip
