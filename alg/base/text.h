// SPDX-License-Identifier: GPL-2.0-or-later
// Spans into a message, and the few things ASCII needs.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sipalg {

// Bytes [begin, end) of a message. A span that was not found is {0, 0} and empty: no field can stand at offset 0.
struct Span {
  uint32_t begin = 0, end = 0;
  constexpr bool empty() const { return begin == end; }
  constexpr bool is_set() const { return end != 0; }
  constexpr uint32_t size() const { return end - begin; }
  // Borrows from `message`, which must be the one that was scanned.
  constexpr std::string_view in(std::string_view message) const { return message.substr(begin, end - begin); }
  friend constexpr auto operator<=>(const Span&, const Span&) = default;
};

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) return false;
  return true;
}
static_assert(equals_ignoring_case("Via", "vIA") && !equals_ignoring_case("Via", "Vi"));

// Decimal digits only, at least one, nothing else, no larger than `most`.
std::optional<uint32_t> parse_number(std::string_view text, uint32_t most = UINT32_MAX);

// Peer text made safe for logs and terminals: control bytes, bytes >= 0x7f and the
// backslash become \xNN.
std::string escaped(std::string_view text);

}  // namespace sipalg
