// SPDX-License-Identifier: GPL-2.0-or-later
// Header values that are a number or a list of words.
#include "alg/sip/small_values.h"

namespace sipalg::sip {

std::optional<uint32_t> parse_leading_number(Cursor value) noexcept {
  const char* begin = value.at;
  while (!value.done() && is_digit(*value.at)) ++value.at;
  if (!value.done() && *value.at != ';' && !is_in(*value.at, blank)) return std::nullopt;
  return parse_number(value.text_since(begin));
}

bool has_word(Cursor value, std::string_view word) noexcept {
  while (!value.done()) {
    value.skip_blanks();
    const char* begin = value.at;
    value.skip(token);
    if (equals_ignoring_case(value.text_since(begin), word)) return true;
    if (value.at == begin && !value.done()) ++value.at;
  }
  return false;
}

bool has_auth_int(Cursor value) noexcept {
  constexpr std::string_view wanted = "auth-int";
  constexpr std::ptrdiff_t before = 4, after = 4;
  const char* begin = value.at;
  while (const char* dash = value.find('-')) {
    value.at = dash + 1;
    if (dash - begin < before || value.end - dash < after) continue;
    if (equals_ignoring_case({dash - before, wanted.size()}, wanted)) return true;
  }
  return false;
}

}  // namespace sipalg::sip
