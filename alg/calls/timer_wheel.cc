// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sipalg {
namespace {

bool is_later(const TimerWheel::Deadline& a, const TimerWheel::Deadline& b) { return a.when > b.when; }

}  // namespace

template <std::size_t n> Instant TimerWheel::Wheel<n>::earliest(std::size_t from) const {
  const auto search = [&](std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end; at = (at / 64 + 1) * 64)
      if (const uint64_t word = filled[at / 64] >> at % 64; word != 0)
        return lists[at + static_cast<std::size_t>(std::countr_zero(word))].earliest;
    return Instant::max();
  };
  const Instant found = search(from, n);
  return found != Instant::max() ? found : search(0, from);
}

void TimerWheel::put(List& list, const Deadline& deadline) {
  const auto [id, node] = nodes_.add();
  node = {std::bit_cast<std::array<uint32_t, 2>>(deadline.id), list.first, deadline.when, deadline.kind};
  list.first = Slab<Node>::place_of(id) + 1;
  list.earliest = std::min(list.earliest, deadline.when);
}

template <std::size_t n> void TimerWheel::put(Wheel<n>& wheel, int64_t place, const Deadline& deadline) {
  const auto at = static_cast<std::size_t>(place) % n;
  put(wheel.lists[at], deadline);
  wheel.filled[at / 64] |= uint64_t{1} << at % 64;
}

void TimerWheel::add_due(const Deadline& deadline) {
  due_.insert(std::lower_bound(due_.begin(), due_.end(), deadline, is_later), deadline);
}

void TimerWheel::add(const Deadline& deadline) {
  next_ = std::min(next_, deadline.when);
  const int64_t slot = slot_of(deadline.when);
  if (slot <= current_) return add_due(deadline);
  if (slot - current_ < static_cast<int64_t>(slots)) return put(*near_, slot, deadline);
  if (block_of(slot) - block_of(current_) < static_cast<int64_t>(blocks)) return put(*far_, block_of(slot), deadline);
  put(beyond_, deadline);
}

// Each of the list's deadlines to where it belongs by now.
void TimerWheel::spread(List& list) {
  uint32_t at = list.first;
  list = {};
  while (at != 0) {
    const Node node = nodes_.at(at - 1);
    nodes_.erase(nodes_.id_at(at - 1));
    at = node.next;
    const Deadline deadline = node.deadline();
    slot_of(deadline.when) <= current_ ? due_.push_back(deadline) : add(deadline);
  }
}

template <std::size_t n> void TimerWheel::spread(Wheel<n>& wheel, int64_t place) {
  const auto at = static_cast<std::size_t>(place) % n;
  wheel.filled[at / 64] &= ~(uint64_t{1} << at % 64);
  spread(wheel.lists[at]);
}

// What was due before must have been taken.
void TimerWheel::turn_to(int64_t slot) {
  const bool is_other_block = block_of(slot) != block_of(current_);
  const bool is_other_ring = block_of(slot) >> ring_bits != block_of(current_) >> ring_bits;
  current_ = slot;
  if (is_other_ring) spread(beyond_);
  if (is_other_block) spread(*far_, block_of(slot));
  spread(*near_, slot);
  std::sort(due_.begin(), due_.end(), is_later);
}

void TimerWheel::find_next() {
  if (!due_.empty()) {
    next_ = due_.back().when;
    return;
  }
  const Instant near = near_->earliest(static_cast<std::size_t>(current_ + 1) % slots);
  const Instant far = far_->earliest(static_cast<std::size_t>(block_of(current_) + 1) % blocks);
  next_ = std::min({near, far, beyond_.earliest});
}

bool TimerWheel::take_due(Instant now, Deadline& deadline) {
  while (due_.empty() && next_ <= now) {
    turn_to(slot_of(next_));
    find_next();
  }
  if (due_.empty() || due_.back().when > now) return false;
  deadline = due_.back();
  due_.pop_back();
  find_next();
  return true;
}

void TimerWheel::clear() {
  const int64_t current = current_;
  *this = {};
  current_ = current;
}

}  // namespace sipalg
