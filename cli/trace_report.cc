// SPDX-License-Identifier: GPL-2.0-or-later
// The report is made once, as JSON; the text is made from it.
#include "cli/trace_report.h"

#include <ostream>

#include "alg/base/text.h"
#include "alg/control/report_json.h"
#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

Json edits_to_json(const Trace& trace) {
  Json out = Json::array();
  for (const auto& edit : trace.edits)
    out.push_back({{"field", name_of(edit.field)},
                   {"offset", edit.offset},
                   {"before", escaped(edit.before)},
                   {"after", escaped(edit.after)}});
  return out;
}

Json failures_to_json(const Trace& trace) {
  Json out = Json::array();
  for (const auto& group : trace.failed_groups)
    out.push_back({{"group", group.is_body ? "body" : "header"},
                   {"reason", name_of(group.reason)},
                   {"explanation", explanation_of(group.reason)}});
  return out;
}

Json doors_to_json(const Trace& trace) {
  Json out = Json::array();
  for (const auto& door : trace.doors) out.push_back(report::to_json(door));
  return out;
}

void show_edits(const Json& edits, std::ostream& out) {
  if (edits.empty()) return;
  TextTable table({"   FIELD", "OFFSET", "BEFORE", "", "AFTER"});
  for (const Json& edit : edits)
    table.add({"   " + text_of(edit, "field"), text_of(edit, "offset"), text_of(edit, "before"), "->", text_of(edit, "after")});
  table.print(out);
}

void show_opened(const Json& doors, std::ostream& out) {
  if (doors.empty()) return;
  TextTable table({"   DOOR", "INSIDE", "OUTSIDE", "FROM", "KERNEL", "ENDS IN"});
  for (const Json& door : doors)
    table.add({"   " + text_of(door, "purpose"), text_of(door, "protocol") + " " + endpoint_of(door, "inside"),
               text_of(door, "outside"), text_of(door, "scope"), door.value("in_kernel", false) ? "yes" : "no",
               duration_of(door, "remaining_ms")});
  table.print(out);
}

void show_failure(const Json& group, std::ostream& out) {
  out << "   " << text_of(group, "group") << " left unchanged: " << text_of(group, "reason") << ", "
      << text_of(group, "explanation") << "\n";
}

}  // namespace

Json to_json(const Verdict& verdict, const Trace& trace) {
  return {{"verdict", verdict.edited() ? "edited" : "unchanged"},
          {"reason", name_of(verdict.reason)},
          {"explanation", explanation_of(verdict.reason)},
          {"first_line", trace.first_line},
          {"call_id", trace.call_id},
          {"method", trace.method},
          {"direction", trace.direction},
          {"edits", edits_to_json(trace)},
          {"doors", doors_to_json(trace)},
          {"failed_groups", failures_to_json(trace)},
          {"scan_error", trace.scan_error.empty() ? Json(nullptr) : Json(trace.scan_error)},
          {"notes", trace.notes}};
}

void show_trace(const Json& report, std::ostream& out) {
  const std::string verdict = text_of(report, "verdict"), reason = text_of(report, "reason");
  out << "   " << verdict << ": " << (reason == verdict ? "" : reason + ", ") << text_of(report, "explanation") << "\n";
  if (reason == name_of(Reason::malformed)) out << "   not readable: " << text_of(report, "scan_error") << "\n";
  show_edits(report["edits"], out);
  for (const Json& group : report["failed_groups"]) show_failure(group, out);
  show_opened(report["doors"], out);
  for (const Json& note : report["notes"]) out << "   note: " << note.get_ref<const std::string&>() << "\n";
}

}  // namespace sipalg
