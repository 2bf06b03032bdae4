// SPDX-License-Identifier: GPL-2.0-or-later
// Lets through a few of a kind in each period, and tells how many it held back.
#pragma once
#include <optional>

#include "alg/base/instant.h"

namespace sipalg {

class RateLimit {
 public:
  constexpr RateLimit(uint32_t most, std::chrono::milliseconds period) : most_(most), period_(period) {}

  // None: hold this one back. Otherwise how many were held back since the last that went through.
  std::optional<uint64_t> admit(Instant now) {
    if (now - since_ >= period_) since_ = now, passed_ = 0;
    if (passed_ >= most_) return ++held_back_, std::nullopt;
    ++passed_;
    return std::exchange(held_back_, 0);
  }

 private:
  uint32_t most_;
  std::chrono::milliseconds period_;
  Instant since_{std::chrono::milliseconds::min() / 2};
  uint32_t passed_ = 0;
  uint64_t held_back_ = 0;
};

}  // namespace sipalg
