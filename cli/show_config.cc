// SPDX-License-Identifier: GPL-2.0-or-later
// show config: the configuration in force as its file would write it, then what the daemon found out by itself.
#include <ostream>

#include "alg/daemon/config.h"
#include "cli/show.h"

namespace sipalg {
namespace {

// "udp on, ports 5060, 5070, draining 5080"
std::string service_text(const Json& line) {
  std::string text = text_of(line, "protocol") + (line.value("on", false) ? " on" : " off") + ", ports " + list_of(line, "ports");
  if (!line.value("draining", Json::array()).empty()) text += ", draining " + list_of(line, "draining");
  if (line.value("differs", false)) text += "; not as the file says, `sipalgctl service list` tells more";
  return text;
}

}  // namespace

void show_config(const Json& answer, std::ostream& out) {
  out << to_toml(answer.value("config", Json::object()), "");
  out << "\n# found out:\n";
  const Json found = answer.value("in_force", Json::object());
  for (const auto& [key, value] : found.items()) {
    if (key == "service") {
      for (const Json& line : value) out << "# service: " << service_text(line) << "\n";
    } else {
      out << "# " << key << ": " << (value.is_array() ? list_of(found, key.c_str()) : text_of(found, key.c_str())) << "\n";
    }
  }
}

}  // namespace sipalg
