// SPDX-License-Identifier: GPL-2.0-or-later
// How large a payload may become on its way out (kernel-facts section 5).
#pragma once
#include "alg/packet/datagram.h"

namespace sipalg {

// Reassembled datagrams are fragmented again and IPv4 with DF off is fragmented on the way; an IPv6 packet that came
// whole must fit the MTU.
inline std::size_t most_payload_bytes(const DatagramView& view, uint32_t mtu) {
  constexpr std::size_t largest_packet = 65'531;  // of a verdict: an attribute's length has 16 bits (nfnetlink_queue.c)
  const bool must_fit = view.source.address.family() == Family::v6 && view.packet.size() <= mtu;
  const std::size_t most = must_fit ? mtu : largest_packet;
  return most > view.payload_offset ? most - view.payload_offset : 0;
}

}  // namespace sipalg
