// SPDX-License-Identifier: GPL-2.0-or-later
// generic-param of a header.
#include "alg/sip/parameter.h"

namespace sipalg::sip {

bool parse_parameter(Cursor& cursor, Parameter& parameter) noexcept {
  cursor.skip_blanks();
  const char* begin = cursor.at;
  cursor.skip_until(value_end);
  parameter = {cursor.text_since(begin), {}};
  const char* behind_name = cursor.at;
  cursor.skip_blanks();
  if (!cursor.take('=')) {
    cursor.at = behind_name;
    return true;
  }
  cursor.skip_blanks();
  begin = cursor.at;
  if (cursor.is_at('"')) {
    if (!cursor.skip_quoted()) return false;
  } else if (const char* close = cursor.is_at('<') ? cursor.find('>') : nullptr) {
    cursor.at = close + 1;  // against the grammar, but +sip.instance=<urn:...> exists, and its commas must not split
  } else {
    // '=' belongs to values of base64 kind
    for (cursor.leap_until(value_end); cursor.take('=');) cursor.leap_until(value_end);
  }
  parameter.value = cursor.text_since(begin);
  return true;
}

}  // namespace sipalg::sip
