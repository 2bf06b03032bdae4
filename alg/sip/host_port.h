// SPDX-License-Identifier: GPL-2.0-or-later
// host and hostport (RFC 3261 section 25.1).
#pragma once
#include "alg/sip/cursor.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

// host: a name, an IPv4 literal, or an IPv6 literal in brackets. False when there is none.
bool parse_host(Cursor& cursor, HostPort& out) noexcept;

// ":" port, at most 65535; the cursor stands behind the colon. White space before the digits is taken.
bool parse_port(Cursor& cursor, HostPort& out) noexcept;

// All of `text` is one host, IPv6 with or without brackets (Via received and maddr, RFC 5118 section 4.5).
void read_host(std::string_view text, Span span, HostPort& out) noexcept;

}  // namespace sipalg::sip
