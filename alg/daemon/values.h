// SPDX-License-Identifier: GPL-2.0-or-later
// The texts a configuration value may have, and back.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "alg/base/endpoint.h"

namespace sipalg {

// "500ms", "90s", "15min", "1h", "2d": one whole number and one unit. Nothing above 30 days.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string to_string(std::chrono::milliseconds duration);  // in the largest unit that is exact

// "16384-65535", or one port alone; 0 is no port.
std::optional<PortRange> parse_port_range(std::string_view text);
std::string to_string(const PortRange& range);

// Was `known` meant by `name`? At most two one-letter changes apart.
bool is_similar(std::string_view known, std::string_view name);

}  // namespace sipalg
