// SPDX-License-Identifier: GPL-2.0-or-later
// Packets written byte by byte, and checksums by an independent sum.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "alg/packet/datagram.h"

namespace sipalg::test {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Bytes be16(std::size_t v) { return {static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)}; }
inline Bytes be32(uint32_t v) { return be16(v >> 16) + be16(v & 0xffff); }
inline Bytes text(std::string_view s) { return {s.begin(), s.end()}; }

// The plain definition: 16 bit words added with end-around carry after each.
inline uint16_t sum(const Bytes& bytes) {
  uint32_t s = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    s += static_cast<uint32_t>(bytes[i] * 256 + (i + 1 < bytes.size() ? bytes[i + 1] : 0));
    if (s > 0xffff) s -= 0xffff;
  }
  return static_cast<uint16_t>(s);
}

// Of the transport, with its pseudo header; of an IPv4 header besides.
inline bool has_right_checksums(const Bytes& packet) {
  const auto view = view_datagram(packet);
  if (!view) return false;
  Bytes all(view->source.address.bytes().begin(), view->source.address.bytes().end());
  all = all + Bytes(view->destination.address.bytes().begin(), view->destination.address.bytes().end());
  const Bytes segment(packet.begin() + view->transport_offset, packet.end());
  const bool is_v4 = packet[0] >> 4 == 4;
  if (is_v4 && sum(Bytes(packet.begin(), packet.begin() + view->transport_offset)) != 0xffff) return false;
  return sum(all + be16(0) + be16(segment.size()) + be16(static_cast<uint8_t>(view->protocol)) + segment) == 0xffff;
}

}  // namespace sipalg::test
