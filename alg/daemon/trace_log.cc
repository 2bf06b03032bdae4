// SPDX-License-Identifier: GPL-2.0-or-later
// One line per message: the text for people, the same as fields for the journal.
#include "alg/daemon/trace_log.h"

#include "alg/base/text.h"

namespace sipalg {
namespace {

constexpr std::size_t longest_line = 160;

std::string edits_of(const Trace& trace) {
  std::string out;
  for (const auto& edit : trace.edits)
    out += (out.empty() ? "" : ", ") + std::string(name_of(edit.field)) + " " + escaped(edit.before) + " -> " + escaped(edit.after);
  return out;
}

std::string doors_of(const Trace& trace) {
  std::string out;
  for (const auto& door : trace.doors)
    out += (out.empty() ? "" : ", ") + door.purpose + " " + to_string(door.inside) + " = " + to_string(door.outside);
  return out;
}

std::string failures_of(const Trace& trace) {
  std::string out;
  for (const auto& group : trace.failed_groups)
    out += (out.empty() ? "" : ", ") + std::string(group.is_body ? "body: " : "head: ") + std::string(name_of(group.reason));
  return out;
}

}  // namespace

void log_trace(const Log& log, const SipDatagram& datagram, const Verdict& verdict, const Trace& trace) {
  Log::Fields fields;
  const auto add = [&fields](std::string_view name, std::string value) {
    if (!value.empty()) fields.emplace_back(name, std::move(value));
  };
  add("CALL_ID", trace.call_id);
  add("METHOD", trace.method);
  add("DIRECTION", trace.direction);
  add("REASON", std::string(name_of(verdict.reason)));
  add("SENDER", to_string(datagram.flow.sender.inside));
  add("RECEIVER", to_string(datagram.flow.receiver.inside));
  add("STATUS", trace.status == 0 ? std::string() : std::to_string(trace.status));
  add("EDITS", edits_of(trace));
  add("DOORS", doors_of(trace));
  add("FAILED", failures_of(trace));
  add("SCAN_ERROR", trace.scan_error);
  const std::string text = trace.first_line.empty() ? std::string(explanation_of(verdict.reason)) : trace.first_line;
  log.debug(text.substr(0, longest_line), fields);
}

}  // namespace sipalg
