// SPDX-License-Identifier: GPL-2.0-or-later
// View over one IP packet that carries UDP (or TCP): where its payload is, and how to send it with another one.
#pragma once
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alg/base/endpoint.h"

namespace sipalg {

enum class PacketError : uint8_t { truncated, not_ip, fragment, other_protocol, bad_length };
std::string_view name_of(PacketError error);

// Borrows from the packet's bytes. IPv6 extension headers (hop-by-hop, routing, destination options) are walked.
struct DatagramView {
  std::span<const uint8_t> packet;  // without link layer padding
  Protocol protocol = Protocol::udp;
  Endpoint source, destination;
  uint32_t transport_offset = 0;  // of the UDP or TCP header
  uint32_t payload_offset = 0;
  bool dont_fragment = false;     // IPv4 DF; true for every IPv6 packet
  std::string_view payload() const;
};
std::expected<DatagramView, PacketError> view_datagram(std::span<const uint8_t> packet);

// The same packet (UDP only) with another payload: lengths and checksums right, a UDP checksum of 0 over IPv4 becomes a
// real one. `clear_dont_fragment` (IPv4): DF off and an identification set, so that it may be fragmented on the way
// (kernel-facts section 5). Precondition: the result fits 65,535 bytes, and `out` has exactly the size of it.
void replace_payload(const DatagramView& view, std::string_view payload, bool clear_dont_fragment, std::span<uint8_t> out);
void replace_payload(const DatagramView& view, std::string_view payload, bool clear_dont_fragment, std::vector<uint8_t>& out);

}  // namespace sipalg
