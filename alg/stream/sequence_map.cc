// SPDX-License-Identifier: GPL-2.0-or-later
// See sequence_map.h.
#include "alg/stream/sequence_map.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace sipalg {

Position SequenceMap::to_out(Position in) const {
  // the last block that begins at or before `in`: with few blocks at once, from the end
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    if (in >= block->in_end) return in - block->in_end + block->out_end();
    if (in >= block->in_begin) return std::min(block->out_begin + (in - block->in_begin), block->out_end());
  }
  return in + shift_;
}

Position SequenceMap::to_in(Position out) const {
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    if (out >= block->out_end()) return out - block->out_end() + block->in_end;
    if (out >= block->out_begin) return std::min(block->in_begin + (out - block->out_begin), block->in_end - 1);
  }
  return out - shift_;
}

Position SequenceMap::first_in(Position out) const {
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    if (out > block->out_end()) return out - block->out_end() + block->in_end;
    if (out > block->out_begin) return std::min(block->in_begin + (out - block->out_begin), block->in_end);
  }
  return out - shift_;
}

void SequenceMap::append(Position in_begin, Position in_end, std::string_view text, bool is_edited) {
  assert(in_begin < in_end && (blocks_.empty() || blocks_.back().in_end <= in_begin));
  assert(is_edited || in_end - in_begin == static_cast<Position>(text.size()));
  kept_ += text.size();
  constexpr std::size_t most_joined = 2048;  // small, so that what is acknowledged can go
  if (!is_edited && !blocks_.empty()) {
    Block& last = blocks_.back();
    if (!last.is_edited && last.in_end == in_begin && last.text.size() < most_joined) {
      last.text.append(text);
      last.in_end = in_end;
      return;
    }
  }
  const Position out_begin = to_out(in_begin);
  blocks_.push_back({in_begin, in_end, out_begin, std::string(text), is_edited});
  edited_ += is_edited ? 1 : 0;
}

void SequenceMap::acknowledge(Position out) {
  while (!blocks_.empty() && blocks_.front().out_end() <= out) {
    const Block& block = blocks_.front();
    shift_ = block.out_end() - block.in_end;
    kept_ -= block.text.size();
    edited_ -= block.is_edited ? 1 : 0;
    blocks_.pop_front();
  }
}

void SequenceMap::forget(Position in_begin, Position out_end) {
  assert(is_faithful());
  std::erase_if(blocks_, [&](const Block& block) {
    const bool goes = block.in_begin >= in_begin && block.out_end() <= out_end;
    if (goes) kept_ -= block.text.size();
    return goes;
  });
}

// Blocks without text hold no position of the receiver.
const SequenceMap::Block* SequenceMap::block_at(Position out) const {
  const auto block = std::ranges::partition_point(blocks_, [&](const Block& one) { return one.out_end() <= out; });
  return block != blocks_.end() && block->out_begin <= out ? &*block : nullptr;
}

Position SequenceMap::next_kept(Position out) const {
  const auto block = std::ranges::partition_point(blocks_, [&](const Block& one) { return one.out_begin <= out; });
  return block == blocks_.end() ? std::numeric_limits<Position>::max() : block->out_begin;
}

std::size_t SequenceMap::read(Position out, std::size_t most, std::string& bytes) const {
  std::size_t taken = 0;
  while (taken < most) {
    const Block* block = block_at(out + static_cast<Position>(taken));
    if (block == nullptr) break;
    const auto from = static_cast<std::size_t>(out - block->out_begin) + taken;
    const std::size_t size = std::min(most - taken, block->text.size() - from);
    bytes.append(block->text, from, size);
    taken += size;
  }
  return taken;
}

}  // namespace sipalg
