// SPDX-License-Identifier: GPL-2.0-or-later
// show calls, show call CALL-ID.
#include <ostream>

#include "cli/show.h"
#include "cli/text_table.h"

namespace sipalg {
namespace {

void show_streams(const Json& call, std::ostream& out) {
  for (const Json& stream : call.value("streams", Json::array())) {
    out << "  stream " << text_of(stream, "line") << "     " << text_of(stream, "kind") << " " << text_of(stream, "direction")
        << ": inside " << text_of(stream, "inside") << " = outside " << text_of(stream, "outside") << ", remote "
        << text_of(stream, "remote") << "\n";
  }
}

void show_one(const Json& call, std::ostream& out) {
  out << "Call-ID " << text_of(call, "call_id") << "\n";
  out << "  state        " << text_of(call, "state") << ", " << text_of(call, "direction")
      << (call.value("held", false) ? ", on hold" : "") << "\n";
  out << "  from         " << text_of(call, "from") << "\n";
  out << "  to           " << text_of(call, "to") << "\n";
  out << "  inside host  " << text_of(call, "inside_host") << "\n";
  out << "  tags         inside " << text_of(call, "inside_tag") << ", outside " << text_of(call, "outside_tag") << "\n";
  out << "  age          " << duration_of(call, "age_ms") << ", idle " << duration_of(call, "idle_ms") << ", ends in "
      << duration_of(call, "remaining_ms") << "\n";
  show_streams(call, out);
}

}  // namespace

void show_calls(const Json& answer, std::ostream& out) {
  TextTable table({"CALL-ID", "STATE", "DIRECTION", "INSIDE", "FROM", "TO", "AGE", "IDLE", "ENDS IN"});
  for (const Json& call : answer.value("calls", Json::array()))
    table.add({text_of(call, "call_id"), text_of(call, "state"), text_of(call, "direction"), text_of(call, "inside_host"),
               text_of(call, "from"), text_of(call, "to"), duration_of(call, "age_ms"), duration_of(call, "idle_ms"),
               duration_of(call, "remaining_ms")});
  if (table.empty()) {
    out << "no calls\n";
  } else {
    table.print(out);
  }
  show_left_off(answer, out);
}

void show_call(const Json& answer, std::ostream& out) {
  for (const Json& call : answer.value("calls", Json::array())) show_one(call, out);
  out << "\n";
  show_doors(answer, out);
}

}  // namespace sipalg
