// SPDX-License-Identifier: GPL-2.0-or-later
// generic-param of a header: ";" name [ "=" ( token / host / quoted-string ) ] (RFC 3261 section 25.1).
#pragma once
#include <string_view>

#include "alg/sip/cursor.h"

namespace sipalg::sip {

struct Parameter {
  std::string_view name, value;  // borrow from the message; value with its quotes
  Span span;                     // of value; unset when there is none
};

// The cursor stands behind the semicolon; afterwards it stands behind the parameter. White space around "=" is taken.
// An empty parameter (";;") reads as an empty name. False: a quoted string that never closes.
bool parse_parameter(Cursor& cursor, Parameter& parameter) noexcept;

}  // namespace sipalg::sip
