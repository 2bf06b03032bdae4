// SPDX-License-Identifier: GPL-2.0-or-later
// View over the TCP header of a packet, and the same packet with other numbers, options and payload.
#pragma once
#include <array>
#include <optional>

#include "alg/packet/datagram.h"

namespace sipalg {

enum TcpFlag : uint8_t { tcp_fin = 1, tcp_syn = 2, tcp_rst = 4, tcp_psh = 8, tcp_ack = 16, tcp_urg = 32 };

struct SackBlock {
  uint32_t begin = 0, end = 0;
  friend constexpr bool operator==(const SackBlock&, const SackBlock&) = default;
};

// RFC 7323 section 3.
struct Timestamps {
  uint32_t value = 0, echo = 0;
};

// What fits beside timestamps (RFC 2018 section 3); without them there could be four.
inline constexpr std::size_t most_sack_blocks = 3;

struct SackBlocks {
  std::array<SackBlock, most_sack_blocks + 1> blocks{};
  std::size_t count = 0;
  void add(SackBlock block) {
    if (count < blocks.size()) blocks[count++] = block;
  }
  std::span<const SackBlock> all() const { return {blocks.data(), count}; }
};

// Borrows from the packet's bytes.
struct SegmentView {
  std::span<const uint8_t> headers;  // IP and TCP, options included
  uint32_t transport_offset = 0;
  std::string_view payload;
  uint32_t sequence = 0, acknowledgement = 0;
  uint16_t window = 0, urgent = 0;
  uint8_t flags = 0;
  uint16_t mss = 0;                     // 0: no such option
  std::optional<uint8_t> window_scale;  // at most 14 (RFC 7323 section 2.3)
  bool sack_permitted = false;
  std::optional<Timestamps> timestamps;
  SackBlocks sack;
  bool is_signed = false;  // MD5 (RFC 2385) or AO (RFC 5925): no byte of it may be changed
  bool has(TcpFlag flag) const { return (flags & flag) != 0; }
};
// Precondition: view.protocol is tcp. Options behind an unreadable one are not seen.
SegmentView view_segment(const DatagramView& view);

// What a rewritten segment says. Fields that are not here stay as they are in the headers it is made from.
struct SegmentFields {
  uint32_t sequence = 0, acknowledgement = 0;
  uint16_t window = 0, urgent = 0;
  uint8_t flags = 0;                     // the six of TcpFlag; ECE, CWR stay
  std::optional<Timestamps> timestamps;  // written over the option when there is one
  SackBlocks sack;                       // all there are: an option without blocks is taken out
  uint16_t mss = 0;                      // written over the option when there is one; 0: stays
};
SegmentFields fields_of(const SegmentView& segment);

// A whole packet with right lengths and checksums (RFC 1071). `headers` as in SegmentView. SACK blocks that do not fit 40 bytes
// of options are left out. Precondition: the result fits 65,535 bytes.
void write_segment(std::span<const uint8_t> headers, uint32_t transport_offset, const SegmentFields& fields,
                   std::string_view payload, std::vector<uint8_t>& out);

}  // namespace sipalg
