// SPDX-License-Identifier: GPL-2.0-or-later
// See logged_engine.h.
#include "alg/daemon/logged_engine.h"

#include "alg/base/listed.h"
#include "alg/base/text.h"
#include "alg/daemon/trace_log.h"
#include "alg/sip/scanner.h"

namespace sipalg {
namespace {

constexpr uint32_t told_per_period = 5;
constexpr std::chrono::minutes period{1};

template <std::size_t... i> auto make_limits(std::index_sequence<i...>) {
  return std::array<RateLimit, sizeof...(i)>{((void)i, RateLimit(told_per_period, period))...};
}

// The kernel or a bound refused: the administrator can do something about it.
bool is_ours_to_cure(Reason reason) {
  return reason == Reason::kernel_refused || reason == Reason::expectations_full || reason == Reason::ports_exhausted ||
         reason == Reason::table_full;
}

}  // namespace

std::string and_held_back(uint64_t held_back) {
  return held_back == 0 ? "" : " (and " + std::to_string(held_back) + " more like this)";
}

LoggedEngine::LoggedEngine(Engine& engine, Stats& stats, const Log& log)
    : engine_(engine), stats_(stats), log_(log), message_(std::make_unique<sip::Message>()),
      limits_(make_limits(std::make_index_sequence<count_of<Reason>>())) {}

Verdict LoggedEngine::handle(const SipDatagram& datagram, Instant now, Scratch& scratch) {
  Groups before = stats_.groups;
  const Listed listed(under_way_, before);
  const Verdict verdict = log_.has(LogLevel::debug) ? handle_traced(datagram, now, scratch) : engine_.handle(datagram, now, scratch);
  tell_failures(datagram, before, now);
  return verdict;
}

Verdict LoggedEngine::handle_traced(const SipDatagram& datagram, Instant now, Scratch& scratch) {
  Trace trace;
  const Verdict verdict = engine_.handle(datagram, now, scratch, &trace);
  log_trace(log_, datagram, verdict, trace);
  return verdict;
}

// What is told of this message is not told again of those that wait around it.
void LoggedEngine::tell_failures(const SipDatagram& datagram, Groups& before, Instant now) {
  if (stats_.groups == before) return;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const uint64_t failed = stats_.groups[i] - before[i];
    if (failed == 0) continue;
    tell_failure(static_cast<Reason>(i), datagram, now);
    for (Groups* counted : under_way_) (*counted)[i] += failed;
  }
}

void LoggedEngine::tell_failure(Reason reason, const SipDatagram& datagram, Instant now) {
  const auto held_back = limits_[static_cast<std::size_t>(reason)].admit(now);
  if (!held_back) return;
  Log::Fields fields{{"REASON", std::string(name_of(reason))},
                     {"INSIDE", to_string(datagram.flow.sender.inside)},
                     {"REMOTE", to_string(datagram.flow.receiver.outside)}};
  if (sip::scan(datagram.bytes, *message_, datagram.bytes_behind))
    fields.emplace_back("CALL_ID", escaped(message_->call_id.in(datagram.bytes)));
  const std::string text = "part of a message left unchanged: " + std::string(explanation_of(reason)) + and_held_back(*held_back);
  is_ours_to_cure(reason) ? log_.warning(text, fields) : log_.info(text, fields);
}

}  // namespace sipalg
