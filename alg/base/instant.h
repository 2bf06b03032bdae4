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

// An Instant in six bytes: records have many. Good for four thousand years.
class ShortInstant {
 public:
  constexpr ShortInstant() = default;
  constexpr ShortInstant(Instant instant) : ShortInstant(instant.time_since_epoch().count()) {}
  constexpr operator Instant() const {
    const int64_t ms = int64_t{static_cast<int16_t>(words_[2])} << 32 | int64_t{words_[1]} << 16 | words_[0];
    return Instant(std::chrono::milliseconds{ms});
  }

 private:
  friend class MaybeInstant;
  constexpr explicit ShortInstant(int64_t ms)
      : words_{static_cast<uint16_t>(ms), static_cast<uint16_t>(ms >> 16), static_cast<uint16_t>(ms >> 32)} {}
  std::array<uint16_t, 3> words_{};  // the lowest first
};

// The same, or none.
class MaybeInstant {
 public:
  constexpr MaybeInstant() { instant_.words_[2] = none; }
  constexpr MaybeInstant(Instant instant) : instant_(instant) {}
  constexpr bool has_value() const { return instant_.words_[2] != none; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr Instant operator*() const { return instant_; }
  constexpr void reset() { *this = {}; }

 private:
  static constexpr uint16_t none = 0x8000;
  ShortInstant instant_;
};
static_assert(Instant(ShortInstant()) == Instant{} && sizeof(ShortInstant) == 6 && sizeof(MaybeInstant) == 6);
static_assert(!MaybeInstant() && *MaybeInstant(Instant(std::chrono::milliseconds{-5})) == Instant(std::chrono::milliseconds{-5}));

}  // namespace sipalg
