// SPDX-License-Identifier: GPL-2.0-or-later
// show config: the configuration in force as its file would write it, then what the daemon found out by itself.
#include <ostream>

#include "alg/daemon/config.h"
#include "cli/show.h"

namespace sipalg {

void show_config(const Json& answer, std::ostream& out) {
  out << to_toml(answer.value("config", Json::object()), "");
  out << "\n# found out:\n";
  const Json found = answer.value("in_force", Json::object());
  for (const auto& [key, value] : found.items())
    out << "# " << key << ": " << to_text(value) << "\n";
}

}  // namespace sipalg
