// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes TCP headers (RFC 9293 section 3.1, options: RFC 7323, RFC 2018).
#include "alg/packet/tcp_segment.h"

#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "alg/packet/checksum.h"

namespace sipalg {
namespace {

using Bytes = std::span<const uint8_t>;

enum OptionKind : uint8_t {
  option_end = 0, option_none = 1, option_mss = 2, option_scale = 3, option_sack_permitted = 4, option_sack = 5,
  option_timestamps = 8, option_md5 = 19, option_ao = 29,
};
constexpr std::size_t fixed_header = 20, most_options = 40;
constexpr uint8_t known_flags = 0x3f;

// Calls `use(kind, whole option, offset of it)` for every option but end and padding, until one can not be read.
template <typename Use> void for_each_option(Bytes options, Use&& use) {
  for (std::size_t at = 0; at < options.size() && options[at] != option_end;) {
    if (options[at] == option_none) {
      ++at;
      continue;
    }
    if (at + 1 >= options.size()) return;
    const std::size_t size = options[at + 1];
    if (size < 2 || at + size > options.size()) return;
    use(options[at], options.subspan(at, size), at);
    at += size;
  }
}

void read_option(SegmentView& segment, uint8_t kind, Bytes option) {
  const std::size_t size = option.size();
  if (kind == option_mss && size == 4) segment.mss = read16(option, 2);
  if (kind == option_scale && size == 3) segment.window_scale = std::min<uint8_t>(option[2], 14);
  if (kind == option_sack_permitted && size == 2) segment.sack_permitted = true;
  if (kind == option_timestamps && size == 10) segment.timestamps = {read32(option, 2), read32(option, 6)};
  if (kind == option_md5 || kind == option_ao) segment.is_signed = true;
  if (kind != option_sack) return;
  for (std::size_t at = 2; at + 8 <= size; at += 8) segment.sack.add({read32(option, at), read32(option, at + 4)});
}

// Appends options without their SACK blocks, each ending at a multiple of four as most stacks write them.
void copy_options(Bytes options, std::vector<uint8_t>& out) {
  const std::size_t begin = out.size();
  for_each_option(options, [&](uint8_t kind, Bytes option, std::size_t) {
    if (kind == option_sack) return;
    const std::size_t padding = (4 - (out.size() - begin + option.size()) % 4) % 4;
    if (out.size() - begin + padding + option.size() > most_options) return;
    out.insert(out.end(), padding, option_none);
    out.insert(out.end(), option.begin(), option.end());
  });
}

void add_sack(std::span<const SackBlock> blocks, std::size_t used, std::vector<uint8_t>& out) {
  const std::size_t room = most_options - used;
  const std::size_t count = room < 12 ? 0 : std::min(blocks.size(), (room - 4) / 8);
  if (count == 0) return;
  const std::size_t at = out.size();
  out.resize(at + 4 + count * 8, option_none);
  out[at + 2] = option_sack;
  out[at + 3] = static_cast<uint8_t>(2 + count * 8);
  for (std::size_t i = 0; i < count; ++i) {
    write32(out, at + 4 + i * 8, blocks[i].begin);
    write32(out, at + 8 + i * 8, blocks[i].end);
  }
}

bool has_sack(Bytes options) {
  bool has = false;
  for_each_option(options, [&](uint8_t kind, Bytes, std::size_t) { has |= kind == option_sack; });
  return has;
}

// The options as they stand, unless SACK blocks go or come.
void write_options(Bytes options, const SegmentFields& fields, std::size_t at, std::vector<uint8_t>& out) {
  if (fields.sack.count == 0 && !has_sack(options)) {
    out.insert(out.end(), options.begin(), options.end());
  } else {
    copy_options(options, out);
    add_sack(fields.sack.all(), out.size() - at - fixed_header, out);
  }
  const std::size_t begin = at + fixed_header;
  for_each_option(Bytes(out).subspan(begin), [&](uint8_t kind, Bytes option, std::size_t offset) {
    if (kind == option_mss && option.size() == 4 && fields.mss != 0) write16(out, begin + offset + 2, fields.mss);
    if (kind != option_timestamps || option.size() != 10 || !fields.timestamps) return;
    write32(out, begin + offset + 2, fields.timestamps->value);
    write32(out, begin + offset + 6, fields.timestamps->echo);
  });
}

void write_fields(const SegmentFields& fields, std::size_t at, std::vector<uint8_t>& out) {
  write32(out, at + 4, fields.sequence);
  write32(out, at + 8, fields.acknowledgement);
  out[at + 12] = static_cast<uint8_t>((out[at + 12] & 0x0f) | ((out.size() - at) / 4) << 4);
  out[at + 13] = static_cast<uint8_t>((out[at + 13] & ~known_flags) | fields.flags);
  write16(out, at + 14, fields.window);
  write16(out, at + 18, fields.urgent);
}

// Lengths and checksums, once everything else stands.
void finish(std::size_t at, std::vector<uint8_t>& out) {
  const bool is_v4 = out[0] >> 4 == 4;
  if (is_v4) {
    write16(out, 2, out.size());
    write16(out, 10, 0);
    write16(out, 10, checksum_of(sum_words(Bytes(out).first(at))));
  } else {
    write16(out, 4, out.size() - 40);
  }
  const Bytes addresses = is_v4 ? Bytes(out).subspan(12, 8) : Bytes(out).subspan(8, 32);
  write16(out, at + 16, 0);
  const uint32_t sum = sum_words(addresses) + IPPROTO_TCP + static_cast<uint32_t>(out.size() - at);
  write16(out, at + 16, checksum_of(sum_words(Bytes(out).subspan(at), sum)));
}

}  // namespace

SegmentView view_segment(const DatagramView& view) {
  assert(view.protocol == Protocol::tcp);
  SegmentView segment;
  const Bytes header = view.packet.subspan(view.transport_offset);
  segment.headers = view.packet.first(view.payload_offset);
  segment.transport_offset = view.transport_offset;
  segment.payload = view.payload();
  segment.sequence = read32(header, 4);
  segment.acknowledgement = read32(header, 8);
  segment.flags = header[13] & known_flags;
  segment.window = read16(header, 14);
  segment.urgent = read16(header, 18);
  for_each_option(segment.headers.subspan(view.transport_offset + fixed_header),
                  [&](uint8_t kind, Bytes option, std::size_t) { read_option(segment, kind, option); });
  return segment;
}

SegmentFields fields_of(const SegmentView& segment) {
  return {segment.sequence, segment.acknowledgement, segment.window, segment.urgent, segment.flags,
          segment.timestamps, segment.sack, 0};
}

void write_segment(std::span<const uint8_t> headers, uint32_t transport_offset, const SegmentFields& fields,
                   std::string_view payload, std::vector<uint8_t>& out) {
  const std::size_t at = transport_offset;
  out.assign(headers.begin(), headers.begin() + static_cast<std::ptrdiff_t>(at + fixed_header));
  write_options(headers.subspan(at + fixed_header), fields, at, out);
  write_fields(fields, at, out);
  assert(out.size() + payload.size() <= 65'535);
  const std::size_t header_bytes = out.size();
  out.resize(header_bytes + payload.size());
  if (!payload.empty()) std::memcpy(&out[header_bytes], payload.data(), payload.size());
  finish(at, out);
}

}  // namespace sipalg
