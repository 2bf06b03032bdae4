// SPDX-License-Identifier: GPL-2.0-or-later
// name-addr and addr-spec with header parameters.
#include "alg/sip/name_addr.h"

#include "alg/sip/parameter.h"
#include "alg/sip/uri.h"

namespace sipalg::sip {
namespace {

// What the cursor is brought to: "<", or the addr-spec when there is no "<".
enum class Form : uint8_t { brackets, plain, broken };

// Display names are read more freely than the grammar has them: anything will do that can not be mistaken for a URI, a quoted
// string or the end of the value. What stands alone in its header may have commas and an "@" there, too: an addr-spec has its
// scheme's ":" before both.
Form skip_display_name(Cursor& cursor, bool is_only) noexcept {
  if (cursor.is_at('<')) return Form::brackets;
  if (cursor.is_at('"')) {
    if (!cursor.skip_quoted()) return Form::broken;
    cursor.skip_blanks();
    return cursor.is_at('<') ? Form::brackets : Form::broken;
  }
  const Cursor begin = cursor;
  for (cursor.leap_until(display_end); is_only && (cursor.take(',') || cursor.take('@'));) cursor.leap_until(display_end);
  if (cursor.is_at('<')) return Form::brackets;
  cursor = begin;
  return Form::plain;
}

// Afterwards the cursor stands behind the URI and its brackets. Blanks inside the brackets (RFC 4475 section 3.1.2.14) are not
// accepted: other parsers take them for a part of the host.
NameAddrResult parse_bracketed(Cursor& cursor, NameAddr& out) noexcept {
  out.in_brackets = true;
  ++cursor.at;
  const char* close = cursor.find('>');
  if (close == nullptr) return NameAddrResult::broken;
  Cursor uri = cursor.with_end(close);
  const bool readable = parse_uri(uri, out.uri);
  cursor.at = close + 1;
  return readable ? NameAddrResult::readable : NameAddrResult::unreadable_uri;
}

// Without brackets everything behind the first semicolon belongs to the header, not to the URI (section 20).
NameAddrResult parse_plain(Cursor& cursor, NameAddr& out) noexcept {
  Cursor uri = cursor;
  cursor.leap_until(uri_end);
  uri.end = cursor.at;
  const bool readable = parse_uri(uri, out.uri);
  if (!cursor.done() && *cursor.at == '?') return NameAddrResult::broken;
  return readable ? NameAddrResult::readable : NameAddrResult::unreadable_uri;
}

bool parse_parameters(Cursor& cursor, const char* begin, NameAddr& out) noexcept {
  out.value = cursor.since(begin);
  while (cursor.take_behind_blanks(';')) {
    Parameter parameter;
    if (!read_parameter(cursor, parameter)) return false;
    const std::string_view name = parameter.name;
    if (!out.tag.is_set() && is_word<"tag">(name)) out.tag = cursor.span_of(parameter.value);
    if (!out.expires && is_word<"expires">(name)) out.expires = parse_number(parameter.value);
    out.value = cursor.since(begin);
  }
  return cursor.done() || *cursor.at == ',';
}

}  // namespace

NameAddrResult parse_name_addr(Cursor& cursor, NameAddr& out, bool is_only) noexcept {
  const char* begin = cursor.at;
  const Form form = skip_display_name(cursor, is_only);
  if (form == Form::broken) return NameAddrResult::broken;
  const auto result = form == Form::brackets ? parse_bracketed(cursor, out) : parse_plain(cursor, out);
  if (result == NameAddrResult::broken || !parse_parameters(cursor, begin, out)) return NameAddrResult::broken;
  return result;
}

}  // namespace sipalg::sip
