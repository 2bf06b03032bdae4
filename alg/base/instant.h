// SPDX-License-Identifier: GPL-2.0-or-later
// Time as everything outside the daemon's loop sees it: handed in, never read.
#pragma once
#include <chrono>

namespace sipalg {

// Milliseconds since boot, suspended time included (CLOCK_BOOTTIME): it never jumps and outlives the process.
struct BootClock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using Instant = BootClock::time_point;

// An Instant or none, in the eight bytes of one: records have many.
class MaybeInstant {
 public:
  constexpr MaybeInstant() = default;
  constexpr MaybeInstant(Instant instant) : instant_(instant) {}
  constexpr bool has_value() const { return instant_ != none; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr const Instant& operator*() const { return instant_; }
  constexpr void reset() { instant_ = none; }

 private:
  static constexpr Instant none = Instant::min();
  Instant instant_ = none;
};

}  // namespace sipalg
