// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a UDP packet with another payload: lengths, checksums (RFC 1071), and what a cleared DF asks for (RFC 6864).
#include <netinet/in.h>

#include <cassert>
#include <cstring>
#include <functional>
#include <string_view>

#include "alg/packet/checksum.h"
#include "alg/packet/datagram.h"

namespace sipalg {
namespace {

using Bytes = std::span<const uint8_t>;

// Fragments need an identification; 0 is what hosts write into packets that must not be fragmented. Taken from
// the content instead of a counter, so that the same packet gives the same bytes.
void allow_fragments(std::span<uint8_t> out) {
  out[6] = static_cast<uint8_t>(out[6] & ~0x40U);
  if (out[4] != 0 || out[5] != 0) return;
  const auto hash = std::hash<std::string_view>{}({reinterpret_cast<const char*>(out.data()), out.size()}) & 0xffff;
  write16(out, 4, hash != 0 ? hash : 1);
}

void finish_v4(std::span<uint8_t> out, std::size_t header) {
  write16(out, 2, out.size());
  write16(out, 10, 0);
  write16(out, 10, checksum_of(sum_words(Bytes(out).first(header))));
}

void finish_udp(const DatagramView& view, std::span<uint8_t> out) {
  const std::size_t at = view.transport_offset, length = out.size() - at;
  write16(out, at + 4, length);
  write16(out, at + 6, 0);
  uint32_t sum = sum_words(view.source.address.bytes());
  sum = sum_words(view.destination.address.bytes(), sum);
  sum += IPPROTO_UDP + static_cast<uint32_t>(length);
  const uint16_t checksum = checksum_of(sum_words(Bytes(out).subspan(at), sum));
  write16(out, at + 6, checksum != 0 ? checksum : 0xffff);
}

}  // namespace

void replace_payload(const DatagramView& view, std::string_view payload, bool clear_dont_fragment, std::span<uint8_t> out) {
  const std::size_t headers = view.payload_offset;
  assert(view.protocol == Protocol::udp && out.size() == headers + payload.size() && out.size() <= 65'535);
  std::memcpy(out.data(), view.packet.data(), headers);
  // not std::copy: between char and uint8_t it takes byte by byte
  if (!payload.empty()) std::memcpy(out.data() + headers, payload.data(), payload.size());
  if (view.source.address.family() == Family::v4) {
    if (clear_dont_fragment) allow_fragments(out);
    finish_v4(out, view.transport_offset);
  } else {
    write16(out, 4, out.size() - 40);
  }
  finish_udp(view, out);
}

void replace_payload(const DatagramView& view, std::string_view payload, bool clear_dont_fragment, std::vector<uint8_t>& out) {
  out.resize(view.payload_offset + payload.size());
  replace_payload(view, payload, clear_dont_fragment, std::span<uint8_t>(out));
}

}  // namespace sipalg
