// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of the configuration file, one row each: how it is read, and how it is shown.
#pragma once
#include <toml++/toml.h>

#include <functional>
#include <span>

#include "alg/daemon/config.h"

namespace sipalg {

struct ConfigKey {
  std::string_view section;   // empty: top level
  std::string_view name;
  std::string_view expected;  // what a value must be
  std::string_view cure;      // an example
  // False: the value is not what is expected. The config is then not used.
  std::function<bool(const toml::node&, Config&)> read;
  std::function<Json(const Config&)> show;  // scalars and arrays of scalars: TOML and JSON write them alike
};
std::span<const ConfigKey> config_keys();

}  // namespace sipalg
