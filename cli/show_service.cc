// SPDX-License-Identifier: GPL-2.0-or-later
// service list, and what every change of the service answers.
#include <ostream>

#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

const char* state_of(const Json& line) { return line.value("on", false) ? "on" : "off"; }

}  // namespace

void show_service(const Json& answer, std::ostream& out) {
  TextTable table({"PROTOCOL", "SERVICE", "PORTS", "DRAINING", "ENDPOINTS"});
  std::string notes;
  for (const Json& line : answer.value("service", Json::array())) {
    const std::string protocol = text_of(line, "protocol");
    table.add({protocol, state_of(line), list_of(line, "ports"), list_of(line, "draining"), text_of(line, "endpoints")});
    const Json file = line.value("file", Json::object());
    if (line.value("differs", false))
      notes += protocol + ": switched by hand, until the next start; the configuration file says " + state_of(file) + ", " +
               list_of(file, "ports") + "\n";
    if (!line.value("draining", Json::array()).empty())
      notes += protocol + ": calls and registrations of draining ports go on until they end\n";
  }
  table.print(out);
  out << notes;
  const Json zones = answer.value("zone_firewall", Json::object());
  if (!zones.value("lacks", Json::array()).empty())
    out << "the zone firewall that is loaded lets no SIP begin on port " << list_of(zones, "lacks")
        << "; `sipalgctl firewall --apply` (as root) changes that\n";
  if (answer.value("steering", "") == "manual")
    out << "steering is manual: your own rules must bring these ports to the queue; `sipalgctl ruleset` prints them\n";
}

}  // namespace sipalg
