// SPDX-License-Identifier: GPL-2.0-or-later
// [zone.NAME] and [[zone-pair]] of the configuration file.
#pragma once
#include <toml++/toml.h>

#include <functional>

#include "alg/control/json.h"
#include "alg/zones/zone_policy.h"

namespace sipalg {

bool is_zone_section(std::string_view name);

using OnConfigError = std::function<void(const toml::source_region& where, std::string text, std::string_view expected,
                                         std::string cure)>;
// What is wrong goes to `on_error`; without one the policy is sound: names are good, no interface is in two zones,
// pairs join two zones (or one and self) and stand once.
void read_zones(const toml::table& root, ZonePolicy& policy, const OnConfigError& on_error);

// Adds the sections, where there are any.
void show_zones(const ZonePolicy& policy, Json& config);

} // namespace sipalg
