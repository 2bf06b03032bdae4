// SPDX-License-Identifier: GPL-2.0-or-later
// JSON as the daemon, sipalgctl and their tests use it: keys keep the order they were written in.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace sipalg {

using Json = nlohmann::ordered_json;

// One line for indent < 0. Never throws: bytes that are no UTF-8 are replaced.
inline std::string to_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sipalg
