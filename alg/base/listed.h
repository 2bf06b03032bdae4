// SPDX-License-Identifier: GPL-2.0-or-later
// In a list for as long as it lives: what is under way, the innermost last.
#pragma once
#include <vector>

namespace sipalg {

template <typename T> class Listed {
 public:
  Listed(std::vector<T*>& list, T& item) : list_(list) { list_.push_back(&item); }
  ~Listed() { list_.pop_back(); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  std::vector<T*>& list_;
};

}  // namespace sipalg
