// SPDX-License-Identifier: GPL-2.0-or-later
// show registrations.
#include <ostream>

#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {

void show_registrations(const Json& answer, std::ostream& out) {
  TextTable table({"AOR", "CONTACT", "INSIDE", "OUTSIDE", "REGISTRAR", "ENDS IN"});
  for (const Json& row : answer.value("registrations", Json::array()))
    table.add({text_of(row, "aor"), text_of(row, "contact"), text_of(row, "inside"), text_of(row, "outside"),
               text_of(row, "registrar"), duration_of(row, "remaining_ms")});
  if (table.empty()) {
    out << "no registrations\n";
  } else {
    table.print(out);
  }
  show_left_off(answer, out);
}

}  // namespace sipalg
