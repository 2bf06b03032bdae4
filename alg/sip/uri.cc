// SPDX-License-Identifier: GPL-2.0-or-later
// SIP-URI and SIPS-URI.
#include "alg/sip/uri.h"

#include "alg/sip/host_port.h"

namespace sipalg::sip {
namespace {

Transport transport_of(std::string_view text) noexcept {
  if (is_word<"udp">(text)) return Transport::udp;
  if (is_word<"tcp">(text)) return Transport::tcp;
  if (is_word<"tls">(text)) return Transport::tls;
  return Transport::other;
}

Scheme scheme_of(std::string_view text) noexcept {
  if (is_word<"sip">(text)) return Scheme::sip;
  if (is_word<"sips">(text)) return Scheme::sips;
  if (is_word<"tel">(text)) return Scheme::tel;
  return Scheme::other;
}

// ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) ":"
bool parse_scheme(Cursor& cursor, Uri& uri) noexcept {
  const char* begin = cursor.at;
  if (cursor.end - begin > 3 && begin[3] == ':' && is_word<"sip">({begin, 3})) {
    uri.scheme = Scheme::sip;
    cursor.at += 4;
    return true;
  }
  while (!cursor.done() && (is_in(*cursor.at, host_char) || *cursor.at == '+') && *cursor.at != '_') ++cursor.at;
  if (cursor.at == begin || is_digit(*begin)) return false;
  uri.scheme = scheme_of(cursor.text_since(begin));
  return cursor.take(':');
}

// False: a second maddr. Which one holds would be a matter of taste.
bool note_parameter(std::string_view name, std::string_view value, Span span, Uri& uri) noexcept {
  if (is_word<"lr">(name)) uri.has_lr = true;
  if (uri.transport == Transport::none && is_word<"transport">(name)) uri.transport = transport_of(value);
  if (!is_word<"maddr">(name)) return true;
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
  Cursor inside = cursor;
  inside.leap_until(uri_part_end);
  if (inside.done()) return true;  // no "@" either
  if (*inside.at != '@') {
    const char* at_sign = inside.find('@');
    if (at_sign == nullptr) return true;
    inside.end = at_sign;
    inside.leap_until(never_in_uri);
  } else {
    inside.end = inside.at;
  }
  const char* user = cursor.at;
  cursor.at = inside.end;
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

bool parse_uri(Cursor& cursor, Uri& uri) noexcept {
  const char* begin = cursor.at;
  if (!parse_scheme(cursor, uri) || cursor.done()) return false;
  uri.whole = Cursor{cursor.base, cursor.end, cursor.end}.since(begin);
  if (uri.scheme != Scheme::sip && uri.scheme != Scheme::sips) return parse_opaque(cursor);
  if (!parse_user(cursor, uri) || !parse_host(cursor, uri.host)) return false;
  if (cursor.take(':') && !parse_port(cursor, uri.host)) return false;
  return parse_parameters(cursor, uri) && is_end(cursor);
}

}  // namespace sipalg::sip
