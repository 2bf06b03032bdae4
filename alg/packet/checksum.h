// SPDX-License-Identifier: GPL-2.0-or-later
// The Internet checksum (RFC 1071) and big endian numbers in a packet.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sipalg {

// One's complement sum of big endian words, not folded: 65,535 bytes stay far below 2^32.
inline uint32_t sum_words(std::span<const uint8_t> bytes, uint32_t sum = 0) {
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (i < bytes.size()) sum += static_cast<uint32_t>(bytes[i] << 8);
  return sum;
}

inline uint16_t checksum_of(uint32_t sum) {
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

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
