// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the headers of one IP packet (RFC 791, RFC 8200, RFC 768, RFC 9293).
#include "alg/packet/datagram.h"

#include <netinet/in.h>

#include "alg/packet/checksum.h"

namespace sipalg {
namespace {

using Bytes = std::span<const uint8_t>;

// Where the transport header begins, and which one it is.
struct Transport {
  std::size_t offset = 0;
  uint8_t protocol = 0;
};

std::expected<Transport, PacketError> read_v4(DatagramView& view) {
  const Bytes p = view.packet;
  if (p.size() < 20) return std::unexpected(PacketError::truncated);
  const std::size_t header = (p[0] & 0x0fU) * 4U, total = read16(p, 2);
  if (header < 20 || total < header) return std::unexpected(PacketError::bad_length);
  if (total > p.size()) return std::unexpected(PacketError::truncated);
  const uint16_t fragment = read16(p, 6);
  if ((fragment & 0x3fff) != 0) return std::unexpected(PacketError::fragment);
  view.dont_fragment = (fragment & 0x4000) != 0;
  view.source.address = Address::from_bytes(p.subspan(12, 4));
  view.destination.address = Address::from_bytes(p.subspan(16, 4));
  view.packet = p.first(total);
  return Transport{header, p[9]};
}

// The Home Address option (RFC 6275 section 6.3) puts another source into the UDP checksum than the header shows.
bool has_home_address(Bytes options) {
  for (std::size_t at = 0; at < options.size();) {
    if (options[at] == 0xc9) return true;
    if (options[at] == 0) {
      ++at;
    } else if (at + 1 < options.size()) {
      at += 2U + options[at + 1];
    } else {
      break;
    }
  }
  return false;
}

// Extension headers whose content leaves addresses and checksum alone may be walked over; the others end the walk.
bool may_walk(uint8_t type, Bytes header) {
  if (type == IPPROTO_ROUTING) return header[3] == 0;  // segments left: the destination is not the final one yet
  if (type == IPPROTO_DSTOPTS) return !has_home_address(header.subspan(2));
  return type == IPPROTO_HOPOPTS;
}

std::expected<Transport, PacketError> walk_extensions(Bytes packet) {
  Transport here{40, packet[6]};
  while (here.protocol != IPPROTO_UDP && here.protocol != IPPROTO_TCP) {
    if (here.protocol == IPPROTO_FRAGMENT) return std::unexpected(PacketError::fragment);
    if (here.protocol != IPPROTO_HOPOPTS && here.protocol != IPPROTO_ROUTING && here.protocol != IPPROTO_DSTOPTS)
      return std::unexpected(PacketError::other_protocol);
    if (packet.size() < here.offset + 8) return std::unexpected(PacketError::truncated);
    const std::size_t size = (packet[here.offset + 1] + 1U) * 8U;
    if (packet.size() < here.offset + size) return std::unexpected(PacketError::truncated);
    if (!may_walk(here.protocol, packet.subspan(here.offset, size)))
      return std::unexpected(PacketError::other_protocol);
    here = {here.offset + size, packet[here.offset]};
  }
  return here;
}

std::expected<Transport, PacketError> read_v6(DatagramView& view) {
  const Bytes p = view.packet;
  if (p.size() < 40) return std::unexpected(PacketError::truncated);
  const std::size_t total = 40U + read16(p, 4);
  if (total > p.size()) return std::unexpected(PacketError::truncated);
  view.dont_fragment = true;
  view.source.address = Address::from_bytes(p.subspan(8, 16));
  view.destination.address = Address::from_bytes(p.subspan(24, 16));
  view.packet = p.first(total);
  return walk_extensions(view.packet);
}

// Bytes behind the UDP length (RFC 9868 surplus area) are cut off: an edited packet does not carry them.
std::expected<void, PacketError> read_udp(DatagramView& view, std::size_t at) {
  if (view.packet.size() < at + 8) return std::unexpected(PacketError::truncated);
  const std::size_t length = read16(view.packet, at + 4);
  if (length < 8 || at + length > view.packet.size()) return std::unexpected(PacketError::bad_length);
  view.protocol = Protocol::udp;
  view.payload_offset = static_cast<uint32_t>(at + 8);
  view.packet = view.packet.first(at + length);
  return {};
}

std::expected<void, PacketError> read_tcp(DatagramView& view, std::size_t at) {
  if (view.packet.size() < at + 20) return std::unexpected(PacketError::truncated);
  const std::size_t header = (view.packet[at + 12] >> 4U) * 4U;
  if (header < 20 || at + header > view.packet.size()) return std::unexpected(PacketError::bad_length);
  view.protocol = Protocol::tcp;
  view.payload_offset = static_cast<uint32_t>(at + header);
  return {};
}

std::expected<void, PacketError> read_transport(DatagramView& view, const Transport& transport) {
  const std::size_t at = transport.offset;
  std::expected<void, PacketError> read = std::unexpected(PacketError::other_protocol);
  if (transport.protocol == IPPROTO_UDP) read = read_udp(view, at);
  if (transport.protocol == IPPROTO_TCP) read = read_tcp(view, at);
  if (!read) return read;
  view.transport_offset = static_cast<uint32_t>(at);
  view.source.port = read16(view.packet, at);
  view.destination.port = read16(view.packet, at + 2);
  return {};
}

}  // namespace

std::string_view name_of(PacketError error) {
  switch (error) {
    case PacketError::truncated: return "truncated";
    case PacketError::not_ip: return "not-ip";
    case PacketError::fragment: return "fragment";
    case PacketError::other_protocol: return "other-protocol";
    case PacketError::bad_length: return "bad-length";
  }
  return "unknown";
}

std::string_view DatagramView::payload() const {
  const Bytes bytes = packet.subspan(payload_offset);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::expected<DatagramView, PacketError> view_datagram(std::span<const uint8_t> packet) {
  if (packet.empty()) return std::unexpected(PacketError::truncated);
  const unsigned version = packet[0] >> 4U;
  if (version != 4 && version != 6) return std::unexpected(PacketError::not_ip);
  DatagramView view;
  view.packet = packet;
  const auto transport = version == 4 ? read_v4(view) : read_v6(view);
  if (!transport) return std::unexpected(transport.error());
  if (const auto read = read_transport(view, *transport); !read) return std::unexpected(read.error());
  return view;
}

}  // namespace sipalg
