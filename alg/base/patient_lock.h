// SPDX-License-Identifier: GPL-2.0-or-later
// For a lock that is held for some ten microseconds: who sleeps until it is free, and has to be woken, costs both more than waiting.
#pragma once
#include <chrono>
#include <mutex>

namespace sipalg {

inline void relax_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Tries for so long; then it waits as others do: who holds it may have lost its core.
inline std::unique_lock<std::mutex> patient_lock(std::mutex& mutex, std::chrono::microseconds patience = std::chrono::microseconds{100}) {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex, std::try_to_lock);
  if (lock) return lock;
  for (const auto end = Clock::now() + patience; Clock::now() < end;) {
    for (int i = 0; i < 32; ++i) relax_cpu();
    if (lock.try_lock()) return lock;
  }
  lock.lock();
  return lock;
}

}  // namespace sipalg
