// SPDX-License-Identifier: GPL-2.0-or-later
// Header values that are a number, or say how the body is signed.
#include "alg/sip/small_values.h"

namespace sipalg::sip {

std::optional<uint32_t> parse_leading_number(Cursor value) noexcept {
  const auto number = take_number(value);
  if (!value.done() && *value.at != ';' && !is_in(*value.at, blank)) return std::nullopt;
  return number;
}

bool has_auth_int(Cursor value) noexcept {
  constexpr std::string_view wanted = "auth-int";
  constexpr std::ptrdiff_t before = 4, after = 4;
  const char* begin = value.at;
  const auto find_dash = [&value] {  // credentials are long
    return static_cast<const char*>(std::memchr(value.at, '-', static_cast<std::size_t>(value.end - value.at)));
  };
  while (const char* dash = find_dash()) {
    value.at = dash + 1;
    if (dash - begin < before || value.end - dash < after) continue;
    if (equals_ignoring_case({dash - before, wanted.size()}, wanted)) return true;
  }
  return false;
}

}  // namespace sipalg::sip
