// SPDX-License-Identifier: GPL-2.0-or-later
// Header values that are a number or a list of words.
#pragma once
#include <optional>

#include "alg/sip/cursor.h"

namespace sipalg::sip {

// The digits at the cursor, which stands behind them then. Nothing when there are none, or more than a number has.
inline std::optional<uint32_t> take_number(Cursor& cursor) noexcept {
  const char* begin = cursor.at;
  uint64_t number = 0;
  for (; !cursor.done(); ++cursor.at) {
    const unsigned digit = static_cast<unsigned char>(*cursor.at) - unsigned{'0'};
    if (digit > 9) break;
    number = number * 10 + digit;
  }
  if (cursor.at == begin || cursor.at - begin > 10 || number > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(number);
}

// delta-seconds, parameters behind it passed over: Expires, Session-Expires. Nothing when it is not one.
std::optional<uint32_t> parse_leading_number(Cursor value) noexcept;

// Whether credentials may say qop=auth-int (RFC 7616 section 3.4): the word anywhere in the value, so that no way of writing it
// slips through.
bool has_auth_int(Cursor value) noexcept;

}  // namespace sipalg::sip
