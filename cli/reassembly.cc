// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/reassembly.h"

#include <algorithm>

namespace sipalg {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr std::size_t most_waiting = 256;
constexpr std::size_t largest_packet = 65'535;
constexpr std::chrono::seconds patience{30};
constexpr uint8_t hop_by_hop = 0, routing = 43, fragment_header = 44, destination_options = 60;

uint32_t number16(Bytes bytes, std::size_t at) { return static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1]); }
uint32_t number32(Bytes bytes, std::size_t at) { return number16(bytes, at) << 16 | number16(bytes, at + 2); }
Address address_at(Bytes bytes, std::size_t at, std::size_t size) { return Address::from_bytes(bytes.subspan(at, size)); }

// RFC 791 section 3.1.
std::optional<IpFragment> read_v4(Bytes packet) {
  const std::size_t header = (packet[0] & 15U) * 4U;
  if (header < 20 || packet.size() < header) return std::nullopt;
  const uint32_t word = number16(packet, 6);
  const bool more = (word & 0x2000) != 0;
  const uint32_t offset = (word & 0x1fff) * 8;
  if (!more && offset == 0) return std::nullopt;
  IpFragment out;
  out.key = {address_at(packet, 12, 4), address_at(packet, 16, 4), number16(packet, 4), packet[9]};
  out.head.assign(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header));
  out.head[6] = out.head[7] = 0;
  out.offset = offset;
  out.is_last = !more;
  out.bytes = packet.subspan(header);
  return out;
}

// RFC 8200 section 4.5: the fragment header goes, whoever points to it points to what it pointed to.
std::optional<IpFragment> read_v6(Bytes packet) {
  std::size_t pointer = 6, at = 40;
  while (at + 8 <= packet.size() && packet[pointer] != fragment_header) {
    const uint8_t type = packet[pointer];
    if (type != hop_by_hop && type != routing && type != destination_options) return std::nullopt;
    pointer = at;
    at += 8U + packet[at + 1] * 8U;
  }
  if (at + 8 > packet.size()) return std::nullopt;
  const uint32_t word = number16(packet, at + 2);
  IpFragment out;
  out.key = {address_at(packet, 8, 16), address_at(packet, 24, 16), number32(packet, at + 4), packet[at]};
  out.head.assign(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(at));
  out.head[pointer] = packet[at];
  out.offset = word & 0xfff8U;
  out.is_last = (word & 1U) == 0;
  out.bytes = packet.subspan(at + 8);
  return out;
}

}  // namespace

std::optional<IpFragment> read_fragment(Bytes packet) {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return read_v4(packet);
  if (packet.size() >= 48 && packet[0] >> 4 == 6) return read_v6(packet);
  return std::nullopt;
}

std::optional<Bytes> Reassembly::add(Bytes packet, Instant now) {
  const auto fragment = read_fragment(packet);
  fragmented_ = fragment.has_value();
  if (!fragment) return packet;
  make_room(now);
  Waiting& waiting = waiting_[fragment->key];
  if (waiting.pieces.empty()) waiting.since = now;
  if (!insert(waiting, *fragment)) {
    waiting_.erase(fragment->key);
    ++given_up_;
    return std::nullopt;
  }
  if (!is_complete(waiting)) return std::nullopt;
  const bool good = assemble(waiting);
  waiting_.erase(fragment->key);
  return good ? std::optional<Bytes>(whole_) : std::nullopt;
}

bool Reassembly::insert(Waiting& waiting, const IpFragment& fragment) {
  const auto size = static_cast<uint32_t>(fragment.bytes.size());
  const uint32_t end = fragment.offset + size;
  if (size == 0 || end > largest_packet || (!fragment.is_last && size % 8 != 0)) return false;
  if (fragment.is_last && waiting.size.value_or(end) != end) return false;
  const auto next = waiting.pieces.lower_bound(fragment.offset);
  if (next != waiting.pieces.end() && next->first == fragment.offset && next->second.size() == size) return true;  // again
  if (next != waiting.pieces.end() && next->first < end) return false;
  if (next != waiting.pieces.begin() && std::prev(next)->first + std::prev(next)->second.size() > fragment.offset) return false;
  if (fragment.is_last) waiting.size = end;
  if (fragment.offset == 0) waiting.head = fragment.head;
  waiting.pieces.emplace_hint(next, fragment.offset, std::vector<uint8_t>(fragment.bytes.begin(), fragment.bytes.end()));
  return true;
}

bool Reassembly::is_complete(const Waiting& waiting) {
  std::size_t expected = 0;
  for (const auto& [offset, bytes] : waiting.pieces) {
    if (offset != expected) return false;
    expected += bytes.size();
  }
  return waiting.size && expected >= *waiting.size;
}

bool Reassembly::assemble(const Waiting& waiting) {
  whole_ = waiting.head;
  for (const auto& [offset, bytes] : waiting.pieces) whole_.insert(whole_.end(), bytes.begin(), bytes.end());
  if (whole_.size() > largest_packet) return ++given_up_, false;
  const bool v4 = whole_[0] >> 4 == 4;
  const std::size_t length = v4 ? whole_.size() : whole_.size() - 40;
  const std::size_t at = v4 ? 2 : 4;
  whole_[at] = static_cast<uint8_t>(length >> 8);
  whole_[at + 1] = static_cast<uint8_t>(length & 0xff);
  return true;
}

void Reassembly::make_room(Instant now) {
  given_up_ += std::erase_if(waiting_, [now](const auto& item) { return now - item.second.since > patience; });
  while (waiting_.size() >= most_waiting) {
    waiting_.erase(std::ranges::min_element(waiting_, {}, [](const auto& item) { return item.second.since; }));
    ++given_up_;
  }
}

}  // namespace sipalg
