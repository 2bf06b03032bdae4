// SPDX-License-Identifier: GPL-2.0-or-later
// Records that have ended, in the order they ended. When too many of them live on, the oldest has to go.
#pragma once
#include <cstdint>
#include <vector>

namespace sipalg {

// The owner tells of each that goes or lives again; places of those are found out when they come first.
class EndedRing {
 public:
  explicit EndedRing(std::size_t most) : most_(most) {}
  void push(uint64_t id) {
    if (count_ == ids_.size()) grow();
    ids_[place_of(count_++)] = id;
    ++living_;
  }
  // The oldest that `has_ended(id)` still says yes to, when there are too many; 0: none has to go.
  template <typename F> uint64_t take_oldest(F&& has_ended) {
    while (count_ > 0 && !has_ended(ids_[first_])) pop();
    if (living_ <= most_ || count_ == 0) return 0;
    const uint64_t oldest = ids_[first_];
    pop();
    return oldest;
  }
  void gone() { --living_; }
  // The one that so many pushes later is likely to have to go; 0: none.
  uint64_t soon(std::size_t pushes) const { return living_ < most_ || count_ <= pushes ? 0 : ids_[place_of(pushes)]; }

 private:
  std::size_t place_of(std::size_t nth) const { return (first_ + nth) & (ids_.size() - 1); }
  void pop() {
    first_ = place_of(1);
    --count_;
  }
  void grow() {
    std::vector<uint64_t> larger(ids_.empty() ? 64 : 2 * ids_.size());
    for (std::size_t i = 0; i < count_; ++i) larger[i] = ids_[place_of(i)];
    ids_ = std::move(larger);
    first_ = 0;
  }
  std::size_t most_, living_ = 0;
  std::size_t first_ = 0, count_ = 0;
  std::vector<uint64_t> ids_;  // a power of two of them
};

}  // namespace sipalg
