// SPDX-License-Identifier: GPL-2.0-or-later
// The counters as JSON.
#pragma once
#include "alg/control/json.h"
#include "alg/stats/stats.h"

namespace sipalg {

// Every method, reason and event is a key, zero or not; responses list only the codes that were seen.
Json to_json(const Stats& stats);

}  // namespace sipalg
