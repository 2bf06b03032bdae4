// SPDX-License-Identifier: GPL-2.0-or-later
// The Internet checksum (RFC 1071) and big endian numbers in a packet.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sipalg {

constexpr uint32_t fold(uint64_t sum) {
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint32_t>(sum);
}

// One's complement sum of big endian words, folded; eight bytes at a time (RFC 1071 section 2 (C)). Only the last span of a
// sum may have an odd length.
inline uint32_t sum_words(std::span<const uint8_t> bytes, uint32_t sum = 0) {
  uint64_t wide = sum;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t words = 0;
    std::memcpy(&words, &bytes[i], sizeof words);
    if constexpr (std::endian::native == std::endian::little) words = __builtin_bswap64(words);
    wide += (words >> 32) + (words & 0xffffffffU);
  }
  for (; i + 1 < bytes.size(); i += 2) wide += static_cast<uint64_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) wide += static_cast<uint64_t>(bytes[i] << 8);
  return fold(wide);
}

inline uint16_t checksum_of(uint32_t sum) { return static_cast<uint16_t>(~fold(sum)); }

inline uint16_t read16(std::span<const uint8_t> bytes, std::size_t at) { return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]); }
inline uint32_t read32(std::span<const uint8_t> bytes, std::size_t at) {
  return static_cast<uint32_t>(read16(bytes, at)) << 16 | read16(bytes, at + 2);
}
inline void write16(std::vector<uint8_t>& out, std::size_t at, std::size_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value & 0xff);
}
inline void write32(std::vector<uint8_t>& out, std::size_t at, uint32_t value) {
  write16(out, at, value >> 16);
  write16(out, at + 2, value & 0xffff);
}

}  // namespace sipalg
