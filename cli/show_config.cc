// SPDX-License-Identifier: GPL-2.0-or-later
// show config: the configuration in force as its file would write it, then what the daemon found out by itself.
#include <ostream>

#include "cli/show.h"

namespace sipalg {
namespace {

void show_keys(const Json& section, std::ostream& out) {
  for (const auto& [key, value] : section.items()) {
    if (value.is_null()) {
      out << "# " << key << " is not set\n";
    } else if (!value.is_object()) {
      out << key << " = " << to_text(value) << "\n";
    }
  }
}

}  // namespace

void show_config(const Json& answer, std::ostream& out) {
  const Json config = answer.value("config", Json::object());
  show_keys(config, out);
  for (const auto& [name, section] : config.items())
    if (section.is_object()) {
      out << "\n[" << name << "]\n";
      show_keys(section, out);
    }
  out << "\n# found out:\n";
  const Json found = answer.value("in_force", Json::object());
  for (const auto& [key, value] : found.items())
    out << "# " << key << ": " << to_text(value) << "\n";
}

}  // namespace sipalg
