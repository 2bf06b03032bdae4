// SPDX-License-Identifier: GPL-2.0-or-later
// One SDP line cut into its space-separated fields (RFC 8866 section 9).
#pragma once
#include <cstring>
#include <optional>
#include <string_view>

#include "alg/base/text.h"

namespace sipalg::sdp {

// A field with its place in the message.
struct Word {
  std::string_view text;
  Span span;
  bool empty() const { return text.empty(); }
  // The first `size` bytes, and what begins at `from`.
  Word first(std::size_t size) const { return {text.substr(0, size), {span.begin, span.begin + static_cast<uint32_t>(size)}}; }
  Word from(std::size_t at) const { return {text.substr(at), {span.begin + static_cast<uint32_t>(at), span.end}}; }
};

// Borrows from the message. More than one space between fields, and tabs, are accepted.
struct LineCursor {
  const char* base;  // of the message
  const char* at;
  const char* end;

  static constexpr bool is_space(char c) { return static_cast<unsigned char>(c) <= ' ' && (c == ' ' || c == '\t'); }
  uint32_t offset() const { return static_cast<uint32_t>(at - base); }
  std::string_view rest() const { return {at, static_cast<std::size_t>(end - at)}; }
  // Empty at the end of the line.
  Word next() {
    while (at != end && is_space(*at)) ++at;
    const char* begin = at;
    while (at != end && !is_space(*at)) ++at;
    return word(begin, at);
  }
  // The last field, cut off. Empty at the end of the line.
  Word last() {
    while (end != at && is_space(end[-1])) --end;
    const char* behind = end;
    while (end != at && !is_space(end[-1])) --end;
    return word(end, behind);
  }

 private:
  Word word(const char* begin, const char* behind) const {
    return {{begin, static_cast<std::size_t>(behind - begin)},
            {static_cast<uint32_t>(begin - base), static_cast<uint32_t>(behind - base)}};
  }
};

}  // namespace sipalg::sdp
