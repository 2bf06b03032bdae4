// SPDX-License-Identifier: GPL-2.0-or-later
// Walks over the lines of a text, and over the bytes that may be no good in it.
#pragma once
#include "alg/base/sixteen.h"

namespace sipalg {

// Where in a text the bytes below 16 are: line ends, NUL, TAB, and what nobody sends. Block by block.
class LowBytes {
 public:
  static constexpr std::ptrdiff_t size = 64;

  explicit LowBytes(std::string_view text) noexcept : begin_(text.data()), end_(begin_ + text.size()) {}
  const char* begin() const noexcept { return begin_; }
  const char* end() const noexcept { return end_; }
  // A bit for each byte from `at` on, and what was not looked at yet.
  struct Block {
    const char* at;
    const char* behind;
    uint64_t bits;
  };
  Block look(const char* at) const noexcept {
    if (end_ - at >= size) return {at, at + size, bits_at(at)};
    return look_at_rest(at);
  }

 private:
  static uint64_t bits_at(const char* at) noexcept {
    const auto low = [at](std::ptrdiff_t begin) {
      return uint64_t{Sixteen::bits(Sixteen(at + begin).are_below_16())} << begin;
    };
    return low(0) | low(16) | low(32) | low(48);
  }
  // Less than a block: the last block of the text without what was looked at already, or a copy of a short text.
  Block look_at_rest(const char* at) const noexcept {
    const std::ptrdiff_t rest = end_ - at;
    if (end_ - begin_ >= size) return {end_ - size, end_, bits_at(end_ - size) & ~uint64_t{0} << (size - rest)};
    char copy[size];
    std::memset(copy, ' ', sizeof copy);
    std::memcpy(copy, at, static_cast<std::size_t>(rest));
    return {at, end_, bits_at(copy)};
  }

  const char* begin_;
  const char* end_;
};

// CRLF and LF end a line, mixed too. For each: on_line(its first byte, its line end, the next line); on_other(where) for NUL, a
// CR that no LF follows, and the other bytes below 16. Both return whether to go on. Returns the begin of the first line that
// was not walked over: one without a line end, or where it was told to stop.
template <typename OnLine, typename OnOther> const char* walk_lines(std::string_view text, OnLine on_line, OnOther on_other) {
  const LowBytes low(text);
  const char* line = low.begin();
  const char* next = line;
  while (next != low.end()) {
    const auto block = low.look(next);
    next = block.behind;
    for (uint64_t bits = block.bits; bits != 0; bits &= bits - 1) {
      const char* const at = block.at + static_cast<unsigned>(std::countr_zero(bits));
      const char* behind = at + 1;
      if (*at == '\r' && behind != low.end() && *behind == '\n') {
        ++behind;
        bits &= bits - 1;
      } else if (*at != '\n') {
        if (!on_other(at)) return line;
        continue;
      }
      if (!on_line(line, at, behind)) return line;
      line = behind;
    }
    if (line > next) next = line;  // the LF is in the next block
  }
  return line;
}

}  // namespace sipalg
