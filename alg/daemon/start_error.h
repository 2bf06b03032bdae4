// SPDX-License-Identifier: GPL-2.0-or-later
// Why the daemon can not start, as one sentence with its cure.
#pragma once
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace sipalg {

// `make()`, with `what` and `cure` in front of and behind the system's own words when it fails.
template <typename Make> auto start_step(const std::string& what, const std::string& cure, Make make) -> decltype(make()) {
  try {
    return make();
  } catch (const std::system_error& error) {
    throw std::runtime_error(what + ": " + error.what() + "; " + cure);
  }
}

}  // namespace sipalg
