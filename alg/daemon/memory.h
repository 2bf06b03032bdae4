// SPDX-License-Identifier: GPL-2.0-or-later
// What a busy hour took goes back to the system. glibc by itself returns only what is free at the top of its heap
// (malloc_trim(3)), and one living record up there keeps all below it.
#pragma once
#include <malloc.h>

#include <algorithm>
#include <cstddef>

namespace sipalg {

class FreeMemory {
 public:
  // A few microseconds when nothing much was freed since the last time.
  void give_back() {
    const std::size_t free = mallinfo2().fordblks;
    if (free < known_ + worth_it) {
      known_ = std::min(known_, free);
      return;
    }
    malloc_trim(0);
    known_ = mallinfo2().fordblks;  // what was given back counts as free all the same
  }

 private:
  static constexpr std::size_t worth_it = 2U << 20;
  std::size_t known_ = 0;
};

}  // namespace sipalg
