// SPDX-License-Identifier: GPL-2.0-or-later
// Compares with words that are known, several letters at a time, in any case.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sipalg {

// The bytes at `at` as one number.
template <typename Number> Number number_at(const char* at) noexcept {
  Number number;
  std::memcpy(&number, at, sizeof number);
  return number;
}
// The same with the bit set in each byte that lower case letters have. That makes lower case letters of letters alone; '-' comes
// of itself and of CR.
template <typename Number> Number lower_number_at(const char* at) noexcept {
  return static_cast<Number>(number_at<Number>(at) | static_cast<Number>(0x2020202020202020U));
}

// Whether `size` bytes, at least 2, are those of `lower` once that bit is set.
inline bool equals_lower(const char* text, const char* lower, std::size_t size) noexcept {
  const auto ends = [=]<typename Number>(Number) {  // both ends, which may overlap
    const std::size_t last = size - sizeof(Number);
    return lower_number_at<Number>(text) == number_at<Number>(lower) &&
           lower_number_at<Number>(text + last) == number_at<Number>(lower + last);
  };
  if (size < 4) return ends(uint16_t{});
  if (size < 8) return ends(uint32_t{});
  for (std::size_t at = 8; at + 8 < size; at += 8)
    if (lower_number_at<uint64_t>(text + at) != number_at<uint64_t>(lower + at)) return false;
  return ends(uint64_t{});
}

// A word of lower case letters alone.
template <std::size_t Size> struct LowerWord {
  char text[Size];
  consteval LowerWord(const char (&word)[Size]) {
    for (std::size_t i = 0; i < Size; ++i) text[i] = word[i];
    for (std::size_t i = 0; i + 1 < Size; ++i)
      if (word[i] < 'a' || word[i] > 'z') throw "no lower case letter";
  }
};
// equals_ignoring_case for such a word.
template <LowerWord word> bool is_word(std::string_view text) noexcept {
  constexpr std::size_t size = sizeof word.text - 1;
  return text.size() == size && equals_lower(text.data(), word.text, size);
}

}  // namespace sipalg
