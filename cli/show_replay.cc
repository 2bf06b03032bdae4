// SPDX-License-Identifier: GPL-2.0-or-later
// The summary of a replay as text.
#include <ostream>

#include "cli/player.h"
#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

void show_counts(const char* title, const Json& counts, std::ostream& out) {
  TextTable table({title, ""});
  for (const auto& [name, count] : counts.items()) table.add({name, to_text(count)});
  if (table.empty()) return;
  table.print(out);
  out << "\n";
}

}  // namespace

void show_replay(const Json& summary, std::ostream& out) {
  show_counts("CAPTURE", summary["capture"], out);
  show_counts("SIP", summary["sip"], out);
  show_counts("FIELDS EDITED", summary["edits"], out);
  show_counts("DOORS OPENED", summary["doors"], out);
  show_counts("AT THE END", summary["at_the_end"], out);
  show_stats(summary["stats"], out);
}

}  // namespace sipalg
