// SPDX-License-Identifier: GPL-2.0-or-later
// SIP-URI and SIPS-URI.
#include "alg/sip/uri.h"

#include "alg/sip/host_port.h"

namespace sipalg::sip {
namespace {

Transport transport_of(std::string_view text) noexcept {
  if (text.size() != 3) return Transport::other;
  if (equals_ignoring_case(text, "udp")) return Transport::udp;
  if (equals_ignoring_case(text, "tcp")) return Transport::tcp;
  if (equals_ignoring_case(text, "tls")) return Transport::tls;
  return Transport::other;
}

Scheme scheme_of(std::string_view text) noexcept {
  if (equals_ignoring_case(text, "sip")) return Scheme::sip;
  if (equals_ignoring_case(text, "sips")) return Scheme::sips;
  if (equals_ignoring_case(text, "tel")) return Scheme::tel;
  return Scheme::other;
}

// ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) ":"
bool parse_scheme(Cursor& cursor, Uri& uri) noexcept {
  const char* begin = cursor.at;
  while (!cursor.done() && (is_in(*cursor.at, host_char) || *cursor.at == '+') && *cursor.at != '_') ++cursor.at;
  if (cursor.at == begin || is_digit(*begin)) return false;
  uri.scheme = scheme_of(cursor.text_since(begin));
  return cursor.take(':');
}

// False: a second maddr. Which one holds would be a matter of taste.
bool note_parameter(std::string_view name, std::string_view value, Span span, Uri& uri) noexcept {
  if (name.size() == 2 && equals_ignoring_case(name, "lr")) uri.has_lr = true;
  if (name.size() == 9 && uri.transport == Transport::none && equals_ignoring_case(name, "transport"))
    uri.transport = transport_of(value);
  if (name.size() != 5 || !equals_ignoring_case(name, "maddr")) return true;
  if (uri.maddr.host.is_set()) return false;
  read_host(value, span, uri.maddr);
  return true;
}

// *( ";" name [ "=" value ] ); stops at "?".
bool parse_parameters(Cursor& cursor, Uri& uri) noexcept {
  while (cursor.take(';')) {
    const char* begin = cursor.at;
    cursor.skip_until(uri_part_end);
    const std::string_view name = cursor.text_since(begin);
    const bool has_value = cursor.take('=');
    begin = cursor.at;
    while (has_value && !cursor.done() && (!is_in(*cursor.at, uri_part_end) || *cursor.at == '=' || *cursor.at == '@'))
      ++cursor.at;
    if (!note_parameter(name, cursor.text_since(begin), cursor.since(begin), uri)) return false;
  }
  return true;
}

// The user part may hold nearly anything but "@", ";" and "?" included: the first "@" ends it.
bool parse_user(Cursor& cursor, Uri& uri) noexcept {
  const char* at_sign = cursor.find('@');
  if (at_sign == nullptr) return true;
  const char* user = cursor.at;
  Cursor inside = cursor.with_end(at_sign);
  inside.skip_until(never_in_uri);
  cursor.at = at_sign;
  uri.user = cursor.since(user);
  ++cursor.at;
  return inside.done();
}

// Nothing, or headers ("?"), which do not concern us.
bool is_end(Cursor cursor) noexcept {
  if (cursor.done()) return true;
  if (!cursor.take('?')) return false;
  cursor.skip_until(never_in_uri);
  return cursor.done();
}

bool parse_opaque(Cursor cursor) noexcept {
  cursor.skip_until(never_in_uri);
  return cursor.done();
}

}  // namespace

bool parse_uri(Cursor cursor, Uri& uri) noexcept {
  const char* begin = cursor.at;
  if (!parse_scheme(cursor, uri) || cursor.done()) return false;
  uri.whole = Cursor{cursor.base, cursor.end, cursor.end}.since(begin);
  if (uri.scheme != Scheme::sip && uri.scheme != Scheme::sips) return parse_opaque(cursor);
  if (!parse_user(cursor, uri) || !parse_host(cursor, uri.host)) return false;
  if (cursor.take(':') && !parse_port(cursor, uri.host)) return false;
  return parse_parameters(cursor, uri) && is_end(cursor);
}

}  // namespace sipalg::sip
