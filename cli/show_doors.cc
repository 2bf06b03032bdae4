// SPDX-License-Identifier: GPL-2.0-or-later
// show doors.
#include <ostream>

#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {

void show_doors(const Json& answer, std::ostream& out) {
  TextTable table({"DOOR", "PURPOSE", "INSIDE", "OUTSIDE", "FROM", "OWNERS", "KERNEL", "ENDS IN"});
  for (const Json& door : answer.value("doors", Json::array()))
    table.add({text_of(door, "id"), text_of(door, "purpose"), text_of(door, "protocol") + " " + endpoint_of(door, "inside"),
               text_of(door, "outside"), text_of(door, "scope"), text_of(door, "owners"),
               door.value("in_kernel", false) ? "yes" : "no", duration_of(door, "remaining_ms")});
  if (table.empty()) {
    out << "no doors\n";
  } else {
    table.print(out);
  }
  show_left_off(answer, out);
}

}  // namespace sipalg
