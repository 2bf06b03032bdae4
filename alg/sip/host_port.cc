// SPDX-License-Identifier: GPL-2.0-or-later
// host and hostport.
#include "alg/sip/host_port.h"

namespace sipalg::sip {
namespace {

bool parse_ipv6_reference(Cursor& cursor, HostPort& out) noexcept {
  const char* begin = cursor.at;
  const char* close = cursor.find(']');
  if (close == nullptr) return false;
  cursor.at = close + 1;
  out.host = cursor.since(begin);
  out.address = parse_address(cursor.text_since(begin));
  return out.address.has_value();
}

}  // namespace

bool parse_host(Cursor& cursor, HostPort& out) noexcept {
  if (cursor.is_at('[')) return parse_ipv6_reference(cursor, out);
  const char* begin = cursor.at;
  const bool may_be_literal = !cursor.done() && is_digit(*begin);
  if (const char* behind = may_be_literal ? read_v4(begin, cursor.end, out.address) : nullptr) {
    cursor.at = behind;
    if (cursor.done() || !is_in(*behind, host_char)) {
      out.host = cursor.since(begin);
      return true;
    }
    out.address.reset();  // a name that begins like one
  }
  cursor.skip_host();
  if (cursor.at == begin) return false;
  out.host = cursor.since(begin);
  return true;
}

bool parse_port(Cursor& cursor, HostPort& out) noexcept {
  cursor.skip_blanks();
  const char* begin = cursor.at;
  uint32_t number = 0;
  for (; cursor.at != cursor.end && number <= 65'535; ++cursor.at) {
    const uint32_t digit = static_cast<unsigned char>(*cursor.at) - uint32_t{'0'};
    if (digit > 9) break;
    number = number * 10 + digit;
  }
  if (cursor.at == begin || number > 65'535) return false;
  out.port = cursor.since(begin);
  out.port_number = static_cast<uint16_t>(number);
  return true;
}

void read_host(std::string_view text, Span span, HostPort& out) noexcept {
  out.host = span;
  if (!text.empty()) out.address = parse_address(text);
}

}  // namespace sipalg::sip
