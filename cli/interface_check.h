// SPDX-License-Identifier: GPL-2.0-or-later
// The interfaces of a zone policy against those of this machine.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "alg/zones/zone_policy.h"

namespace sipalg {

// What may be a mistake, one line each, beginning with `file` and its line: an interface that is not there (it may come
// later), or whose packets come and go under another's name.
std::vector<std::string> interface_warnings(const ZonePolicy& policy, const std::string& file,
                                            const std::filesystem::path& sysfs = "/sys/class/net");

} // namespace sipalg
