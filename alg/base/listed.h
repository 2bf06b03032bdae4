// SPDX-License-Identifier: GPL-2.0-or-later
// In a list for as long as it lives: what is under way, in the order of its begin. It mostly ends in the opposite order.
#pragma once
#include <algorithm>
#include <iterator>
#include <vector>

namespace sipalg {

template <typename T> class Listed {
 public:
  Listed(std::vector<T*>& list, T& item) : list_(list), item_(&item) { list_.push_back(item_); }
  ~Listed() { list_.erase(std::prev(std::find(list_.rbegin(), list_.rend(), item_).base())); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  std::vector<T*>& list_;
  T* item_;
};

}  // namespace sipalg
