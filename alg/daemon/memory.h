// SPDX-License-Identifier: GPL-2.0-or-later
// What a busy hour took goes back to the system. glibc by itself returns only what is free at the top of its heap
// (malloc_trim(3)), and one living record up there keeps all below it.
#pragma once
#include <malloc.h>

#include <cstddef>

namespace sipalg {

// For now and then: with little free it costs microseconds. While calls come as fast as they go most of the heap is in use,
// and nothing is given away that is wanted again at once.
inline void give_back_free_memory() {
  constexpr std::size_t worth_it = 2U << 20;
  const struct mallinfo2 heap = mallinfo2();
  if (heap.fordblks >= worth_it && heap.fordblks >= heap.uordblks / 2) malloc_trim(0);
}

}  // namespace sipalg
