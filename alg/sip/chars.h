// SPDX-License-Identifier: GPL-2.0-or-later
// Character classes of RFC 3261 section 25.1, one table for all of them.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "alg/base/sixteen.h"

namespace sipalg::sip {

enum CharClass : uint8_t {
  blank = 1,         // SP HT, and CR LF: inside a header value they can only be folding
  token = 2,         // token
  host_char = 4,     // letters, digits, '-', '.'; '_' because real names have it
  value_end = 8,     // ends a parameter's name or value: ; , = < > " and blanks
  uri_end = 16,      // ends a URI without brackets: ; , ? < > " and blanks
  never_in_uri = 32, // < > " and everything up to the space
  uri_part_end = 64,  // ; ? = @ and never_in_uri
  display_end = 128,  // < ; , " : @
};

constexpr std::array<uint8_t, 256> make_char_classes() {
  std::array<uint8_t, 256> table{};
  auto add = [&table](std::string_view chars, CharClass c) {
    for (char one : chars) table[static_cast<unsigned char>(one)] |= c;
  };
  constexpr std::string_view alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  constexpr std::string_view blanks = " \t\r\n";
  add(blanks, blank), add(blanks, value_end), add(blanks, uri_end);
  add(alphanumeric, token), add("-.!%*_+`'~", token);
  add(alphanumeric, host_char), add("-._", host_char);
  add(";,=<>\"", value_end);
  add(";,?<>\"", uri_end);
  add("<;,\":@", display_end);
  for (unsigned c = 0; c <= ' '; ++c) table[c] |= never_in_uri | uri_part_end;
  add("<>\"\x7f", never_in_uri), add(";?=@<>\"\x7f", uri_part_end);
  return table;
}
inline constexpr std::array<uint8_t, 256> char_classes = make_char_classes();

constexpr bool is_in(char c, CharClass which) { return (char_classes[static_cast<unsigned char>(c)] & which) != 0; }
static_assert(is_in('~', token) && !is_in('@', token) && is_in('\n', blank) && !is_in('[', host_char));

// Where a byte of `which`, one of the classes that end something, may be: at all of them and at a few others.
inline Sixteen::Bytes may_be(CharClass which, const Sixteen& bytes) {
  const Sixteen::Bytes usual = bytes.are_at_most(',') | bytes.are_between(':', '@');
  return (which & (never_in_uri | uri_part_end)) != 0 ? usual | bytes.are('\x7f') : usual;
}
static_assert([] {
  for (unsigned c = 0; c < char_classes.size(); ++c) {
    const bool usual = c <= ',' || (c >= ':' && c <= '@');
    if (!usual && (char_classes[c] & (blank | value_end | uri_end | display_end)) != 0) return false;
    if (!usual && c != 0x7f && (char_classes[c] & (never_in_uri | uri_part_end)) != 0) return false;
  }
  return true;
}());

// Where host_char is, exactly.
inline Sixteen::Bytes host_chars(const Sixteen& bytes) {
  const auto letters = bytes.with_bit(0x20).are_between('a', 'z');
  return letters | (bytes.are_between('-', '9') & ~bytes.are('/')) | bytes.are('_');
}
static_assert([] {
  for (unsigned c = 0; c < char_classes.size(); ++c) {
    const unsigned lower = c | 0x20;
    const bool is_host_char = (lower >= 'a' && lower <= 'z') || (c >= '-' && c <= '9' && c != '/') || c == '_';
    if (is_host_char != ((char_classes[c] & host_char) != 0)) return false;
  }
  return true;
}());

}  // namespace sipalg::sip
