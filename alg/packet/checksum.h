// SPDX-License-Identifier: GPL-2.0-or-later
// The Internet checksum (RFC 1071) and big endian numbers in a packet.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sipalg {

constexpr uint32_t fold(uint64_t sum) {
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint32_t>(sum);
}

// One's complement sum of big endian words, folded. Only the last span of a sum may have an odd length. Added in the machine's own
// order, whose sum has the same bytes the other way round (RFC 1071 section 2 (B)), 16 bytes at a time in sums of their own, for
// which compilers use vectors.
inline uint32_t sum_words(std::span<const uint8_t> bytes, uint32_t sum = 0) {
  const uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::array<uint64_t, 4> sums{};
  for (; left >= 16; at += 16, left -= 16) {
    std::array<uint32_t, 4> words;
    std::memcpy(words.data(), at, 16);
    for (std::size_t i = 0; i < 4; ++i) sums[i] += words[i];
  }
  uint64_t wide = sums[0] + sums[1] + sums[2] + sums[3];
  for (; left >= 4; at += 4, left -= 4) {
    uint32_t word = 0;
    std::memcpy(&word, at, 4);
    wide += word;
  }
  constexpr bool is_little = std::endian::native == std::endian::little;
  for (unsigned i = 0; i < left; ++i) wide += uint64_t{at[i]} << 8 * (is_little ? i : 3 - i);
  const uint32_t folded = fold(wide);
  return fold(uint64_t{sum} + (is_little ? __builtin_bswap16(static_cast<uint16_t>(folded)) : folded));
}

inline uint16_t checksum_of(uint32_t sum) { return static_cast<uint16_t>(~fold(sum)); }

inline uint16_t read16(std::span<const uint8_t> bytes, std::size_t at) { return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]); }
inline uint32_t read32(std::span<const uint8_t> bytes, std::size_t at) {
  return static_cast<uint32_t>(read16(bytes, at)) << 16 | read16(bytes, at + 2);
}
inline void write16(std::span<uint8_t> out, std::size_t at, std::size_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value & 0xff);
}
inline void write32(std::span<uint8_t> out, std::size_t at, uint32_t value) {
  write16(out, at, value >> 16);
  write16(out, at + 2, value & 0xffff);
}

}  // namespace sipalg
