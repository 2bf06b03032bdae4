// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/base/text.h"

namespace sipalg {

std::optional<uint32_t> parse_number(std::string_view text, uint32_t most) {
  if (text.empty() || text.size() > 10) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const unsigned digit = static_cast<unsigned char>(c) - static_cast<unsigned>('0');
    if (digit > 9) return std::nullopt;
    value = value * 10 + digit;
  }
  if (value > most) return std::nullopt;
  return static_cast<uint32_t>(value);
}

std::string escaped(std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f && c != '\\') {
      out += c;
    } else {
      out += "\\x";
      out += hex[u >> 4];
      out += hex[u & 15];
    }
  }
  return out;
}

}  // namespace sipalg
