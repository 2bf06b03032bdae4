// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of a record in one piece of memory.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "alg/base/packed_list.h"

namespace sipalg {

// A text's size and its bytes. Up to 65,535 of them; what is longer is cut (datagrams are no longer).
struct PackedText {
  static std::size_t size_of(std::string_view text) { return (is_short(text.size()) ? 1 : 3) + std::min<std::size_t>(text.size(), 65'535); }
  static std::size_t size_at(const char* at) { return size_of(read(at)); }
  static void write(std::string_view text, char* at) {
    const std::size_t size = std::min<std::size_t>(text.size(), 65'535);
    if (!is_short(size)) {
      *at++ = long_mark;
      *at++ = static_cast<char>(size >> 8);
    }
    *at++ = static_cast<char>(size);
    std::copy_n(text.begin(), size, at);
  }
  static std::string_view read(const char* at) {
    const auto byte = [at](std::size_t i) { return std::size_t{static_cast<uint8_t>(at[i])}; };
    return *at != long_mark ? std::string_view(at + 1, byte(0)) : std::string_view(at + 3, byte(1) << 8 | byte(2));
  }

 private:
  static constexpr char long_mark = '\xff';
  static constexpr bool is_short(std::size_t size) { return size < 0xff; }
};

class PackedTexts : public PackedList<std::string_view, PackedText> {
 public:
  PackedTexts() = default;
  explicit PackedTexts(std::initializer_list<std::string_view> texts) {
    std::size_t bytes = 0;
    for (const std::string_view text : texts) bytes += PackedText::size_of(text);
    reserve(bytes);
    for (const std::string_view text : texts) add(text);
  }
  // Precondition: there are so many. The first is found soonest.
  std::string_view operator[](std::size_t i) const { return *std::next(begin(), static_cast<std::ptrdiff_t>(i)); }
};

}  // namespace sipalg
