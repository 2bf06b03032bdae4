// SPDX-License-Identifier: GPL-2.0-or-later
// What a run tells.
#pragma once
#include <nlohmann/json.hpp>

#include "test/load/player.h"
#include "test/load/usage.h"

namespace sipalg::load {

// Everything that grows, at one moment.
struct Snapshot {
  int64_t at = 0;
  uint64_t arrived = 0, exchanges = 0, given_up = 0;
  Usage usage;
  static Snapshot now(const Plan& plan, const Shared& shared, const Player& player);
};

// Of one phase: how long, how many, what it cost.
nlohmann::ordered_json phase(const Snapshot& from, const Snapshot& to);
// Microseconds.
nlohmann::ordered_json quantiles(std::vector<uint32_t> ns);
// Of the whole run, when all is over.
nlohmann::ordered_json faults(Shared& shared, const Player& player);

}  // namespace sipalg::load
