// SPDX-License-Identifier: GPL-2.0-or-later
// Request-Line and Status-Line (RFC 3261 sections 7.1 and 7.2).
#pragma once
#include "alg/sip/cursor.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

// Only whether it is one, by its "SIP/2.0"; `line` without its line end. Extra blanks between and behind the elements are
// accepted: nothing is written there.
bool is_first_line(std::string_view line) noexcept;

// Reads it. Returns nothing for a line that is_first_line() and whose elements are readable; a Request-URI that only lacks a
// readable host is marked in message.unreadable.
std::optional<ScanFailure> parse_first_line(const Cursor& line, Message& message) noexcept;

}  // namespace sipalg::sip
