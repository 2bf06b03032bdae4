// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at sixteen bytes at once, with the vector types of GCC and Clang (SSE2 on x86-64, NEON on arm64).
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sipalg {

// A bit per byte, the lowest for the first one.
using Bits = uint32_t;

// Of eight bytes that are 0 or 0xff: byte i keeps its bit i alone, the product adds all of them up in the highest byte.
constexpr Bits bits_of_eight(uint64_t where) noexcept {
  return static_cast<Bits>((where & 0x8040201008040201U) * 0x0101010101010101U >> 56);
}
static_assert(bits_of_eight(0xff00ff0000000000U) == 0xa0 && bits_of_eight(~uint64_t{0}) == 0xff && bits_of_eight(0xff) == 1);

constexpr uint64_t first_byte_lowest(uint64_t loaded) noexcept {
  return std::endian::native == std::endian::little ? loaded : __builtin_bswap64(loaded);
}

class Sixteen {
 public:
  using Bytes [[gnu::vector_size(16)]] = uint8_t;
  static constexpr std::ptrdiff_t size = 16;

  explicit Sixteen(const char* at) noexcept { std::memcpy(&bytes_, at, sizeof bytes_); }
  explicit Sixteen(Bytes bytes) noexcept : bytes_(bytes) {}
  // The bytes with `bit` set in each.
  Sixteen with_bit(uint8_t bit) const noexcept { return Sixteen(bytes_ | bit); }
  // 0xff where it holds, to be put together with "|"
  Bytes are(char c) const noexcept { return std::bit_cast<Bytes>(bytes_ == static_cast<uint8_t>(c)); }
  Bytes are_at_most(char c) const noexcept { return std::bit_cast<Bytes>(bytes_ <= static_cast<uint8_t>(c)); }
  Bytes are_below_16() const noexcept { return std::bit_cast<Bytes>((bytes_ & uint8_t{0xf0}) == 0); }
  Bytes are_between(char first, char last) const noexcept {
    return std::bit_cast<Bytes>(bytes_ - static_cast<uint8_t>(first) <= static_cast<uint8_t>(last - first));
  }

  static Bits bits(Bytes where) noexcept {
#ifdef __SSE2__  // one instruction, which no compiler finds by itself
    return static_cast<Bits>(_mm_movemask_epi8(std::bit_cast<__m128i>(where)));
#else
    uint64_t halves[2];
    std::memcpy(halves, &where, sizeof halves);
    return bits_of_eight(first_byte_lowest(halves[0])) | bits_of_eight(first_byte_lowest(halves[1])) << 8;
#endif
  }

 private:
  Bytes bytes_;
};

}  // namespace sipalg
