// SPDX-License-Identifier: GPL-2.0-or-later
// show connections.
#include <ostream>

#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

// "10.0.0.2:40000 (203.0.113.1:40000)": as the inside sees it, and as the outside does when that differs.
std::string text_of_end(const Json& row, const char* which) {
  const Json end = row.value(which, Json::object());
  const std::string inside = text_of(end, "inside"), outside = text_of(end, "outside");
  return inside == outside ? inside : inside + " (" + outside + ")";
}

std::string text_of_reading(const Json& row) {
  const bool opener = row.value("reads_opener", false), answerer = row.value("reads_answerer", false);
  if (opener && answerer) return "both";
  return opener ? "opener" : answerer ? "answerer" : "none";
}

}  // namespace

void show_connections(const Json& answer, std::ostream& out) {
  TextTable table({"OPENER", "ANSWERER", "STATE", "READ", "RESIZED", "HELD", "IDLE"});
  for (const Json& row : answer.value("connections", Json::array()))
    table.add({text_of_end(row, "opener"), text_of_end(row, "answerer"), text_of(row, "state"),
               text_of_reading(row), row.value("resized", false) ? "yes" : "no", text_of(row, "held_bytes"), duration_of(row, "idle_ms")});
  if (table.empty()) {
    out << "no connections\n";
  } else {
    table.print(out);
  }
  show_left_off(answer, out);
}

}  // namespace sipalg
