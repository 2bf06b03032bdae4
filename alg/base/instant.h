// SPDX-License-Identifier: GPL-2.0-or-later
// Time as everything outside the daemon's loop sees it: handed in, never read.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>

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

// An Instant or none, in six bytes: records have many. Good for four thousand years.
class MaybeInstant {
 public:
  constexpr MaybeInstant() = default;
  constexpr MaybeInstant(Instant instant) : MaybeInstant(instant.time_since_epoch().count()) {}
  constexpr bool has_value() const { return words_[2] != none; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr Instant operator*() const { return Instant(std::chrono::milliseconds{milliseconds()}); }
  constexpr void reset() { *this = {}; }

 private:
  static constexpr uint16_t none = 0x8000;
  constexpr explicit MaybeInstant(int64_t ms)
      : words_{static_cast<uint16_t>(ms), static_cast<uint16_t>(ms >> 16), static_cast<uint16_t>(ms >> 32)} {}
  constexpr int64_t milliseconds() const {
    return int64_t{static_cast<int16_t>(words_[2])} << 32 | int64_t{words_[1]} << 16 | words_[0];
  }
  std::array<uint16_t, 3> words_{0, 0, none};  // the lowest first
};
static_assert(!MaybeInstant() && *MaybeInstant(Instant(std::chrono::milliseconds{-5})) == Instant(std::chrono::milliseconds{-5}));

}  // namespace sipalg
