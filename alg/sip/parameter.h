// SPDX-License-Identifier: GPL-2.0-or-later
// generic-param of a header: ";" name [ "=" ( token / host / quoted-string ) ] (RFC 3261 section 25.1).
#pragma once
#include <string_view>

#include "alg/sip/cursor.h"

namespace sipalg::sip {

// Borrows from the message.
struct Parameter {
  std::string_view name;
  std::string_view value;  // with its quotes; null when there is none
};

// name, or name=value, with nothing unusual in it and a short name. False, and nothing is done: parse_parameter() must read it.
inline bool take_short_parameter(Cursor& cursor, Parameter& parameter) noexcept {
  const char* const begin = cursor.at;
  if (cursor.readable - begin < Sixteen::size) return false;
  Bits bits = Sixteen::bits(may_be(value_end, Sixteen(begin)));
  if (bits == 0) return false;
  const char* const behind_name = begin + static_cast<unsigned>(std::countr_zero(bits));
  if (behind_name >= cursor.end || *behind_name == ';' || *behind_name == ',') {
    cursor.at = behind_name < cursor.end ? behind_name : cursor.end;
    parameter = {cursor.text_since(begin), {}};
    return true;
  }
  if (*behind_name != '=') return false;
  bits &= bits - 1;
  Cursor value = cursor;
  value.at = begin + (bits != 0 ? static_cast<unsigned>(std::countr_zero(bits)) : Sixteen::size);
  if (value.at > value.end) value.at = value.end;
  if (bits == 0) value.leap_until(value_end);
  const char* const value_begin = behind_name + 1;
  if (value.at == value_begin || (!value.done() && (*value.at == '=' || !is_in(*value.at, value_end)))) return false;
  cursor.at = value.at;
  parameter = {{begin, static_cast<std::size_t>(behind_name - begin)}, value.text_since(value_begin)};
  return true;
}

// The cursor stands behind the semicolon; afterwards it stands behind the parameter. White space around "=" is taken.
// An empty parameter (";;") reads as an empty name. False: a quoted string that never closes.
bool parse_parameter(Cursor& cursor, Parameter& parameter) noexcept;

inline bool read_parameter(Cursor& cursor, Parameter& parameter) noexcept {
  return take_short_parameter(cursor, parameter) || parse_parameter(cursor, parameter);
}

}  // namespace sipalg::sip
