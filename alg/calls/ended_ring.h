// SPDX-License-Identifier: GPL-2.0-or-later
// The records that ended last, in the order they ended. Bounded: the oldest is pushed out.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace sipalg {

class EndedRing {
 public:
  explicit EndedRing(std::size_t most) : most_(most) {}
  // The one that has to make room; 0: none. It may have gone by itself, or live again.
  uint64_t push(uint64_t id) {
    if (ids_.size() < most_) {
      ids_.push_back(id);
      return 0;
    }
    const uint64_t oldest = std::exchange(ids_[at_], id);
    at_ = (at_ + 1) % most_;
    return oldest;
  }

 private:
  std::size_t most_;
  std::size_t at_ = 0;
  std::vector<uint64_t> ids_;
};

}  // namespace sipalg
