// SPDX-License-Identifier: GPL-2.0-or-later
// A connection as bytes. Positions as they stand when a message was decided; of bytes the ends still have, nothing.
#include <algorithm>

#include "alg/base/saved_bytes.h"
#include "alg/stream/connection.h"

namespace sipalg {
namespace {

constexpr int64_t version = 1;
constexpr Position farthest = Position{1} << 60;

constexpr int64_t flag_reading = 1, flag_begun = 2, flag_sack = 4, flag_first = 8, flag_fin_sent = 16;

int64_t flags_of(const Half& half) {
  return (half.is_reading && !half.framer.is_skipping_head() ? flag_reading : 0) | (half.framer.has_begun() ? flag_begun : 0) | (half.sack_permitted ? flag_sack : 0) |
         (half.is_first_message ? flag_first : 0) | (half.fin_sent ? flag_fin_sent : 0);
}

// What the receiver can only get from us: edited texts, and what its sender has forgotten.
bool is_saved(const Half& half, const SequenceMap::Block& block) { return block.is_edited || block.in_begin < half.taken; }

void write_half(ByteWriter& out, const Half& half) {
  out.number(half.first);
  out.number(half.window_scale ? *half.window_scale : -1);
  out.number(flags_of(half));
  out.number(static_cast<int64_t>(half.framer.to_pass()));
  for (const Position position : {half.decided, half.taken, half.acknowledged, half.right_edge, half.sent, half.fin.value_or(-1)})
    out.number(position);
  const auto owed = std::clamp<Position>(half.taken - half.decided, 0, static_cast<Position>(half.buffer.size()));
  out.text(std::string_view(half.buffer).substr(0, static_cast<std::size_t>(owed)));
  out.number(half.map.shift_before());
  int64_t count = 0;
  for (const auto& block : half.map.blocks()) count += is_saved(half, block) ? 1 : 0;
  out.number(count);
  for (const auto& block : half.map.blocks()) {
    if (!is_saved(half, block)) continue;
    out.number(block.in_begin);
    out.number(block.in_end);
    out.number(block.is_edited ? 1 : 0);
    out.text(block.text);
  }
}

bool read_blocks(ByteReader& in, Half& half) {
  half.map.set_shift(in.number());
  const int64_t count = in.number();
  Position behind = -farthest;
  for (int64_t i = 0; i < count && !in.failed(); ++i) {
    const Position begin = in.number(), end = in.number();
    const bool is_edited = in.number() != 0;
    const std::string_view text = in.text();
    const bool is_sound = begin >= behind && begin < end && end <= half.decided && (is_edited || end - begin == static_cast<Position>(text.size()));
    if (in.failed() || !is_sound || text.empty()) return false;
    half.map.append(begin, end, text, is_edited);
    behind = end;
  }
  return !in.failed();
}

bool are_sound(const Half& half) {
  const auto is_near = [](Position position) { return position >= 0 && position < farthest; };
  return is_near(half.decided) && is_near(half.taken) && is_near(half.acknowledged) && is_near(half.right_edge) && is_near(half.sent) &&
         half.map.shift_before() > -farthest && half.map.shift_before() < farthest;
}

bool read_half(ByteReader& in, Half& half) {
  half.is_open = true;
  half.first = static_cast<uint32_t>(in.number());
  const int64_t scale = in.number(), flags = in.number(), to_pass = in.number();
  if (scale >= 0) half.window_scale = static_cast<uint8_t>(std::min<int64_t>(scale, 14));
  half.is_reading = (flags & flag_reading) != 0;
  half.sack_permitted = (flags & flag_sack) != 0;
  half.is_first_message = (flags & flag_first) != 0;
  half.fin_sent = (flags & flag_fin_sent) != 0;
  half.framer.resume((flags & flag_begun) != 0, static_cast<uint64_t>(std::max<int64_t>(to_pass, 0)));
  for (Position* position : {&half.decided, &half.taken, &half.acknowledged, &half.right_edge, &half.sent}) *position = in.number();
  if (const Position fin = in.number(); fin >= 0) half.fin = fin;
  half.buffer = in.text();
  half.in_next = half.decided + static_cast<Position>(half.buffer.size());
  if (in.failed() || !are_sound(half) || !read_blocks(in, half) || !are_sound(half)) return false;
  if (!half.is_reading) half.stop_reading();
  half.is_restored = half.is_unproven = half.is_doubtful = true;
  half.sent = std::max(half.sent, half.decided_out());  // it was saved before it was sent
  half.cursor = half.map.has(half.acknowledged) ? half.acknowledged : std::max(half.sent, half.acknowledged);
  return true;
}

}  // namespace

std::string Connection::saved() const {
  ByteWriter out;
  out.number(version);
  out.number((is_guarded_ ? 1 : 0) | (is_sip_ ? 2 : 0) | (is_closing_ ? 4 : 0) | (has_resized_ ? 8 : 0));
  for (const Half& half : halves_) write_half(out, half);
  return out.finish();
}

bool Connection::restore(std::string_view bytes, Instant now) {
  ByteReader in(bytes);
  if (in.number() != version) return false;
  const int64_t flags = in.number();
  is_guarded_ = was_guarded_ = (flags & 1) != 0;
  has_resized_ = (flags & 8) != 0;
  is_sip_ = (flags & 2) != 0;
  is_closing_ = (flags & 4) != 0;
  if (!read_half(in, halves_[0]) || !read_half(in, halves_[1]) || !in.done()) return false;
  for (std::size_t i = 0; i < 2; ++i) {
    halves_[i].stamp.acknowledged = halves_[1 - i].acknowledged;
    halves_[i].held_since = halves_[i].last_byte = now;
  }
  is_stored_ = true;
  last_seen_ = restored_at_ = now;
  return true;
}

}  // namespace sipalg
