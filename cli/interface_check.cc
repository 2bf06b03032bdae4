// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/interface_check.h"

#include <net/if.h>

#include <algorithm>

namespace sipalg {
namespace {

std::vector<std::string> existing_interfaces() {
  std::vector<std::string> names;
  struct if_nameindex* all = if_nameindex();
  if (all == nullptr) return names;
  for (const auto* one = all; one->if_index != 0; ++one) names.emplace_back(one->if_name);
  if_freenameindex(all);
  return names;
}

// The bridge, bond or VRF it belongs to; empty when none.
std::string master_of(const std::string& interface, const std::filesystem::path& sysfs) {
  std::error_code error;
  return std::filesystem::read_symlink(sysfs / interface / "master", error).filename();
}

} // namespace

std::vector<std::string> interface_warnings(const ZonePolicy& policy, const std::string& file,
                                            const std::filesystem::path& sysfs) {
  std::vector<std::string> out;
  const std::vector<std::string> existing = existing_interfaces();
  for (const Zone& zone : policy.zones)
    for (const auto& [interface, line] : zone.interfaces) {
      const std::string place = file + ":" + std::to_string(line) + ": warning: ";
      const auto found =
          std::ranges::find_if(existing, [&](const std::string& name) { return is_covered(name, interface); });
      if (found == existing.end()) {
        out.push_back(place + "there is no interface " + interface +
                      " now; should it never come, correct its name: `ip -brief "
                      "link` shows them");
      } else if (const std::string master = master_of(*found, sysfs); !master.empty()) {
        out.push_back(place + "packets of " + *found + " come and go as those of " + master +
                      ", which it belongs to; name " + master + " instead");
      }
    }
  return out;
}

} // namespace sipalg
