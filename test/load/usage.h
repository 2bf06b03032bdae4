// SPDX-License-Identifier: GPL-2.0-or-later
// CPU time and memory of the machine, of watched processes and of this one.
#pragma once
#include <cstdint>
#include <vector>

namespace sipalg::load {

struct Usage {
  double machine = 0, watched = 0, own = 0;  // CPU seconds: all that was not idle; watched processes; this process
  uint64_t watched_bytes = 0;                // resident

  static Usage now(const std::vector<int>& watched);
};

}  // namespace sipalg::load
