// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/link_layer.h"

#include <pcap/dlt.h>

#include <algorithm>
#include <array>

namespace sipalg {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint16_t ethertype_v4 = 0x0800, ethertype_v6 = 0x86dd;
constexpr uint16_t pppoe = 0x8864, ppp_v4 = 0x0021, ppp_v6 = 0x0057;
constexpr std::array<uint16_t, 3> vlan_tags{0x8100, 0x88a8, 0x9100};
constexpr std::size_t most_vlan_tags = 4;

uint16_t number16(Bytes bytes, std::size_t at) {
  return at + 2 <= bytes.size() ? static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]) : uint16_t{0};
}

std::optional<Bytes> behind(Bytes frame, std::size_t offset) {
  if (offset >= frame.size()) return std::nullopt;
  return frame.subspan(offset);
}

// RFC 2516 section 4: six bytes of its own, then the PPP protocol.
std::optional<Bytes> behind_pppoe(Bytes frame, std::size_t at) {
  const uint16_t protocol = number16(frame, at + 6);
  return protocol == ppp_v4 || protocol == ppp_v6 ? behind(frame, at + 8) : std::nullopt;
}

// `at`: where the ethertype stands; the payload, or a VLAN tag, follows.
std::optional<Bytes> behind_ethertype(Bytes frame, std::size_t at) {
  for (std::size_t tags = 0; tags <= most_vlan_tags; ++tags, at += 4) {
    const uint16_t type = number16(frame, at);
    if (type == ethertype_v4 || type == ethertype_v6) return behind(frame, at + 2);
    if (type == pppoe) return behind_pppoe(frame, at + 2);
    if (std::ranges::find(vlan_tags, type) == vlan_tags.end()) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Bytes> network_layer(int link_type, Bytes frame) {
  switch (link_type) {
    case DLT_EN10MB: return behind_ethertype(frame, 12);
    case DLT_LINUX_SLL: return behind_ethertype(frame, 14);
    case DLT_LINUX_SLL2:
      return number16(frame, 0) == ethertype_v4 || number16(frame, 0) == ethertype_v6 ? behind(frame, 20) : std::nullopt;
    case DLT_NULL:
    case DLT_LOOP: return behind(frame, 4);  // the family is told by the IP version, too
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6: return behind(frame, 0);
    default: return std::nullopt;
  }
}

// What the IP header says of the whole packet's length; 0: it can not be told.
std::size_t told_length(Bytes packet) {
  if (packet[0] >> 4 == 4 && packet.size() >= 20) return number16(packet, 2);
  if (packet[0] >> 4 == 6 && packet.size() >= 40) return 40U + number16(packet, 4);
  return 0;
}

}  // namespace

bool is_known_link_type(int link_type) {
  static constexpr std::array known{DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL, DLT_LOOP, DLT_RAW, DLT_IPV4, DLT_IPV6};
  return std::ranges::find(known, link_type) != known.end();
}

std::optional<std::span<const uint8_t>> find_ip(int link_type, std::span<const uint8_t> frame) {
  const auto packet = network_layer(link_type, frame);
  if (!packet) return std::nullopt;
  const std::size_t length = told_length(*packet);
  if (length == 0 || length > packet->size()) return std::nullopt;
  return packet->first(length);
}

}  // namespace sipalg
