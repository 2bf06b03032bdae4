// SPDX-License-Identifier: GPL-2.0-or-later
// SIP-URI, SIPS-URI, and any other absoluteURI as an opaque piece (RFC 3261 section 19.1).
#pragma once
#include "alg/sip/cursor.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

// The URI is everything from the cursor, which is used up, to its end. False: not a URI, or a sip: or sips: URI whose host or
// port can not be read.
bool parse_uri(Cursor& cursor, Uri& uri) noexcept;

}  // namespace sipalg::sip
