// SPDX-License-Identifier: GPL-2.0-or-later
// A place in the message and where the field under it ends. All grammar is read through this.
#pragma once
#include <cstring>

#include "alg/base/lower_word.h"
#include "alg/base/sixteen.h"
#include "alg/base/text.h"
#include "alg/sip/chars.h"

namespace sipalg::sip {

// Borrows from the message. Invariant: base <= at <= end <= readable.
struct Cursor {
  const char* base;  // first byte of the message: spans count from here
  const char* at;
  const char* end;
  const char* readable = end;  // end of the message: how far sixteen bytes may be loaded, although none behind `end` counts

  bool done() const { return at == end; }
  bool is_at(char c) const { return at != end && *at == c; }
  uint32_t offset() const { return static_cast<uint32_t>(at - base); }
  Span since(const char* begin) const {
    return {static_cast<uint32_t>(begin - base), static_cast<uint32_t>(at - base)};
  }
  // Of a text in the message; unset when it is null.
  Span span_of(std::string_view text) const {
    if (text.data() == nullptr) return {};
    return Cursor{base, text.data() + text.size(), end}.since(text.data());
  }
  std::string_view text_since(const char* begin) const { return {begin, static_cast<std::size_t>(at - begin)}; }
  std::string_view rest() const { return {at, static_cast<std::size_t>(end - at)}; }
  Cursor with_end(const char* other) const { return {base, at, other, readable}; }

  void skip(CharClass which) {
    while (at != end && is_in(*at, which)) ++at;
  }
  void skip_until(CharClass which) {
    while (at != end && !is_in(*at, which)) ++at;
  }
  // skip_until() for what is rarely near: a class that ends something.
  void leap_until(CharClass which) {
    for (; readable - at >= Sixteen::size; at += Sixteen::size) {
      for (Bits bits = Sixteen::bits(may_be(which, Sixteen(at))); bits != 0; bits &= bits - 1) {
        const char* const found = at + static_cast<unsigned>(std::countr_zero(bits));
        if (found < end && !is_in(*found, which)) continue;
        at = found < end ? found : end;
        return;
      }
      if (end - at <= Sixteen::size) {
        at = end;
        return;
      }
    }
    skip_until(which);
  }
  // skip(host_char)
  void skip_host() {
    for (; readable - at >= Sixteen::size; at += Sixteen::size) {
      const Bits others = Sixteen::bits(~host_chars(Sixteen(at)));
      if (others != 0) at += static_cast<unsigned>(std::countr_zero(others));
      if (others != 0 || end - at <= Sixteen::size) {
        if (others == 0 || at > end) at = end;
        return;
      }
    }
    skip(host_char);
  }
  void skip_blanks() { skip(blank); }
  bool take(char c) {
    if (!is_at(c)) return false;
    ++at;
    return true;
  }
  // The first `c`, else null; made for what is near.
  const char* find(char c) const {
    const char* from = at;
    for (; readable - from >= Sixteen::size; from += Sixteen::size) {
      if (const Bits bits = Sixteen::bits(Sixteen(from).are(c)); bits != 0) {
        from += static_cast<unsigned>(std::countr_zero(bits));
        return from < end ? from : nullptr;
      }
      if (end - from <= Sixteen::size) return nullptr;
    }
    return static_cast<const char*>(std::memchr(from, c, static_cast<std::size_t>(end - from)));
  }
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
  // False: the blanks are taken all the same.
  bool take_behind_blanks(char c) {
    if (take(c)) return true;
    skip_blanks();
    return take(c);
  }
  void trim() {
    skip_blanks();
    while (end != at && is_in(end[-1], blank)) --end;
  }
};

}  // namespace sipalg::sip
