// SPDX-License-Identifier: GPL-2.0-or-later
// show stats: what was received, what became of it, and why something was left alone. Zeros are left out, except for methods.
#include <iomanip>
#include <ostream>

#include "alg/stats/stats.h"
#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

const Json& member(const Json& object, const char* key) {
  static const Json none = Json::object();
  const auto it = object.find(key);
  return it == object.end() || !it->is_object() ? none : *it;
}

// The sentence for a reason's name; empty for a name of a newer daemon.
std::string explain(const std::string& name) {
  for (std::size_t i = 0; i < count_of<Reason>; ++i)
    if (name_of(static_cast<Reason>(i)) == name) return std::string(explanation_of(static_cast<Reason>(i)));
  return "";
}

void show_methods(const Json& methods, std::ostream& out) {
  TextTable table({"RECEIVED", "requests", "200 OK"});
  for (const auto& [name, counts] : methods.items()) table.add({name, text_of(counts, "received"), text_of(counts, "ok")});
  table.print(out);
}

void show_counters(const char* title, const Json& counters, bool explained, std::ostream& out) {
  TextTable table({title, "", ""});
  for (const auto& [name, count] : counters.items())
    if (count != 0) table.add({name, to_text(count), explained ? explain(name) : ""});
  if (table.empty()) return;
  out << "\n";
  table.print(out);
}

}  // namespace

void show_stats(const Json& answer, std::ostream& out) {
  show_methods(member(answer, "methods"), out);
  show_counters("RESPONSES", member(answer, "responses"), false, out);
  show_counters("PACKETS", member(answer, "packets"), true, out);
  show_counters("LEFT UNCHANGED", member(answer, "groups"), true, out);
  show_counters("NOT READABLE", member(answer, "scan_errors"), false, out);
  show_counters("EVENTS", member(answer, "events"), false, out);
  show_counters("KERNEL", member(answer, "kernel"), false, out);
  show_counters("NOW", member(answer, "now"), false, out);
  out << "\nfields edited: " << text_of(answer, "edits") << "\n";
}

}  // namespace sipalg
