// SPDX-License-Identifier: GPL-2.0-or-later
// The reports as JSON. The keys are a promise to scripts: they may be added to, not renamed.
#pragma once
#include <span>

#include "alg/control/json.h"
#include "alg/control/report.h"

namespace sipalg::report {

Json to_json(const Door& door);
Json to_json(const Stream& stream);
Json to_json(const Call& call);
Json to_json(const Registration& registration);
Json to_json(const Connection& connection);
Json to_json(const ServiceLine& line);
Json to_json(const Totals& totals);

// {"<name>": [...], "total": n}, and "left_off": m when there are more than `most` of them.
template <typename T> Json list_to_json(const char* name, std::span<const T> items, std::size_t most) {
  Json rows = Json::array();
  for (const T& item : items.first(std::min(items.size(), most))) rows.push_back(to_json(item));
  Json out{{name, std::move(rows)}, {"total", items.size()}};
  if (items.size() > most) out["left_off"] = items.size() - most;
  return out;
}

}  // namespace sipalg::report
