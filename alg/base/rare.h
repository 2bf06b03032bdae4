// SPDX-License-Identifier: GPL-2.0-or-later
// What few records of a kind have: eight bytes in each, and memory of its own in those that do.
#pragma once
#include <memory>

namespace sipalg {

// Read as if it were always there; until it is written to it is as one made new.
template <typename T> class Rare {
 public:
  const T& operator*() const { return part_ ? *part_ : none(); }
  const T* operator->() const { return &**this; }
  T& write() {
    if (!part_) part_ = std::make_unique<T>();
    return *part_;
  }

 private:
  static const T& none() {
    static const T none{};
    return none;
  }
  std::unique_ptr<T> part_;
};

}  // namespace sipalg
