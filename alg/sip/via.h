// SPDX-License-Identifier: GPL-2.0-or-later
// via-parm (RFC 3261 section 20.42, rport RFC 3581).
#pragma once
#include "alg/sip/cursor.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

// One value; afterwards the cursor stands at the comma or at the end. False: unreadable, the cursor stands where.
bool parse_via(Cursor& cursor, Via& via) noexcept;

}  // namespace sipalg::sip
