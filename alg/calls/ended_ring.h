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
    ids_[(first_ + count_++) % ids_.size()] = id;
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

 private:
  void pop() {
    first_ = (first_ + 1) % ids_.size();
    --count_;
  }
  void grow() {
    std::vector<uint64_t> larger(ids_.empty() ? 64 : 2 * ids_.size());
    for (std::size_t i = 0; i < count_; ++i) larger[i] = ids_[(first_ + i) % ids_.size()];
    ids_ = std::move(larger);
    first_ = 0;
  }
  std::size_t most_, living_ = 0;
  std::size_t first_ = 0, count_ = 0;
  std::vector<uint64_t> ids_;
};

}  // namespace sipalg
