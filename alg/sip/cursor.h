// SPDX-License-Identifier: GPL-2.0-or-later
// A place in the message and where the field under it ends. All grammar is read through this.
#pragma once
#include <cstring>

#include "alg/base/text.h"
#include "alg/sip/chars.h"

namespace sipalg::sip {

// Borrows from the message. Invariant: base <= at <= end.
struct Cursor {
  const char* base;  // first byte of the message: spans count from here
  const char* at;
  const char* end;

  bool done() const { return at == end; }
  bool is_at(char c) const { return at != end && *at == c; }
  uint32_t offset() const { return static_cast<uint32_t>(at - base); }
  Span since(const char* begin) const {
    return {static_cast<uint32_t>(begin - base), static_cast<uint32_t>(at - base)};
  }
  std::string_view text_since(const char* begin) const { return {begin, static_cast<std::size_t>(at - begin)}; }
  std::string_view rest() const { return {at, static_cast<std::size_t>(end - at)}; }
  Cursor with_end(const char* other) const { return {base, at, other}; }

  void skip(CharClass which) {
    while (at != end && is_in(*at, which)) ++at;
  }
  void skip_until(CharClass which) {
    while (at != end && !is_in(*at, which)) ++at;
  }
  void skip_blanks() { skip(blank); }
  bool take(char c) {
    if (!is_at(c)) return false;
    ++at;
    return true;
  }
  const char* find(char c) const { return static_cast<const char*>(std::memchr(at, c, static_cast<std::size_t>(end - at))); }
  // DQUOTE, anything with escapes, DQUOTE (RFC 3261 section 25.1). False: it never closes.
  bool skip_quoted() {
    if (!take('"')) return false;
    const char* close = find('"');
    if (close == nullptr) return false;
    if (with_end(close).find('\\') == nullptr) {
      at = close + 1;
      return true;
    }
    while (at != end && *at != '"') at += *at == '\\' && end - at > 1 ? 2 : 1;
    return take('"');
  }
  void trim() {
    skip_blanks();
    while (end != at && is_in(end[-1], blank)) --end;
  }
};

}  // namespace sipalg::sip
