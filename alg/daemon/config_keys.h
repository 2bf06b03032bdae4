// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of the configuration file, one row each: how it is read, and how it is shown.
#pragma once
#include <toml++/toml.h>

#include <functional>
#include <span>

#include "alg/daemon/config.h"

namespace sipalg {

// How a value was read: good or bad as a whole, or bad in these items of a list, which borrow from the value.
struct Reading {
  Reading(bool good) : is_good(good) {}
  Reading(std::vector<const toml::node*> bad) : is_good(bad.empty()), bad_items(std::move(bad)) {}
  bool is_good;
  std::vector<const toml::node*> bad_items;
};

struct ConfigKey {
  std::string_view section;   // empty: top level
  std::string_view name;
  std::string_view expected;  // what a value must be
  std::string_view cure;      // an example
  // Where the value is not what is expected the config is not used.
  std::function<Reading(const toml::node&, Config&)> read;
  std::function<Json(const Config&)> show;  // scalars and arrays of scalars: TOML and JSON write them alike
};
std::span<const ConfigKey> config_keys();

}  // namespace sipalg
