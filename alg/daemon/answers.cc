// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket answers.
#include <algorithm>
#include <array>
#include <exception>

#include "alg/base/text.h"
#include "alg/control/report_json.h"
#include "alg/control/stats_json.h"
#include "alg/daemon/daemon.h"
#include "alg/daemon/kernel_settings.h"

namespace sipalg {
namespace {

constexpr std::array kernel_names{
    "queue-packets", "queue-overruns", "queue-refused-verdicts", "queue-malformed", "doors-opened", "doors-refused",
    "doors-closed", "anchors-repaired", "pinholes-repaired", "resyncs", "flows-deleted", "leftovers"};

template <typename T> Json texts(const T& items) {
  Json out = Json::array();
  for (const auto& item : items) out.push_back(to_string(item));
  return out;
}

control::Error no_such_call(const std::string& call_id) {
  return {"no call has the Call-ID '" + escaped(call_id) + "'", "`sipalgctl show calls` lists them"};
}

}  // namespace

// In the order of kernel_names.
std::vector<uint64_t> Daemon::kernel_counts() const {
  QueueCounters queue = queue_.counters();
  for (const auto& worker : workers_) queue.add(worker->counters());
  const auto held = shared_keeper_.lock();
  const KeeperCounters& keeper = keeper_.counters();
  return {queue.packets, queue.overruns, queue.refused_verdicts, queue.malformed, keeper.opened, keeper.refused,
          keeper.closed, keeper.anchors_repaired, keeper.pinholes_repaired, keeper.resyncs, keeper.flows_deleted,
          keeper.leftovers};
}

Json Daemon::answer_stats() const {
  Stats sum = engine_.stats();
  sum.add(stats_);
  for (const auto& worker : workers_) sum.add(worker->stats());
  Json out = to_json(sum);
  const std::vector<uint64_t> counts = kernel_counts();
  Json& kernel = out["kernel"] = Json::object();
  for (std::size_t i = 0; i < kernel_names.size(); ++i) kernel[kernel_names[i]] = counts[i] - kernel_counts_cleared_[i];
  if (!workers_.empty()) out["workers"] = answer_workers();
  Json& now = out["now"] = report::to_json(engine_.totals());
  now["connections"] = streams_.connections();
  now["held_segments"] = streams_.held_packets();
  now["held_bytes"] = streams_.held_bytes();
  return out;
}

// Packets of each: is the load spread?
std::vector<uint64_t> Daemon::packets_of_workers() const {
  std::vector<uint64_t> packets{queue_.counters().packets};
  for (const auto& worker : workers_) packets.push_back(worker->counters().packets);
  return packets;
}

Json Daemon::answer_workers() const {
  Json out = Json::object();
  const std::vector<uint64_t> packets = packets_of_workers();
  for (std::size_t i = 0; i < packets.size(); ++i) out["packets-" + std::to_string(i + 1)] = packets[i] - packets_cleared_[i];
  return out;
}

// The counters as they were.
Json Daemon::clear_stats() {
  Json before = answer_stats();
  stats_ = Stats{};
  for (const auto& worker : workers_) worker->clear_stats();
  engine_.clear_stats();
  kernel_counts_cleared_ = kernel_counts();
  packets_cleared_ = packets_of_workers();
  return before;
}

// All legs of the Call-ID.
std::expected<Json, control::Error> Daemon::clear_call(const std::string& call_id) {
  const std::size_t cleared = engine_.clear_call(call_id, boot_time());
  if (cleared == 0) return std::unexpected(no_such_call(call_id));
  return Json{{"cleared", cleared}};
}

Json Daemon::answer_config() {
  return {{"config", to_json(config_)},
          {"in_force",
           {{"inside", texts(inside())},
            {"router", texts(links_.own_addresses())},
            {"steering", name_of(steering_.way())},
            {"service", answer_service()["service"]},
            {"conntrack_tuples", steering_.births() ? "births" : "with-packet"},
            {"expect_max", kernel_setting("net/netfilter/nf_conntrack_expect_max")}}}};
}

// Several legs may have one Call-ID: all of them.
std::expected<Json, control::Error> Daemon::answer_call(const std::string& call_id) const {
  const Instant now = boot_time();
  Json calls = Json::array(), doors = Json::array();
  std::vector<uint64_t> ids;
  for (const report::Call& call : engine_.calls(now)) {
    if (call.call_id != call_id && call.call_id != escaped(call_id)) continue;
    calls.push_back(report::to_json(call));
    ids.insert(ids.end(), call.doors.begin(), call.doors.end());
  }
  if (calls.empty()) return std::unexpected(no_such_call(call_id));
  for (const report::Door& door : engine_.doors(now))
    if (std::ranges::find(ids, door.id) != ids.end()) doors.push_back(report::to_json(door));
  return Json{{"calls", std::move(calls)}, {"doors", std::move(doors)}};
}

std::expected<Json, control::Error> Daemon::answer(const control::Request& request) try {
  using control::Command;
  const Instant now = boot_time();
  switch (request.command) {
    case Command::stats: return answer_stats();
    case Command::calls: return report::list_to_json<report::Call>("calls", engine_.calls(now), control::rows);
    case Command::call: return answer_call(request.argument);
    case Command::doors: return report::list_to_json<report::Door>("doors", engine_.doors(now), control::rows);
    case Command::registrations:
      return report::list_to_json<report::Registration>("registrations", engine_.registrations(now), control::rows);
    case Command::connections:
      return report::list_to_json<report::Connection>("connections", streams_.report(now), control::rows);
    case Command::config: return answer_config();
    case Command::clear_stats: return clear_stats();
    case Command::clear_call: return clear_call(request.argument);
    case Command::clear_calls: return Json{{"cleared", engine_.clear_calls(now)}};
    case Command::clear_registrations: return Json{{"cleared", engine_.clear_registrations(now)}};
    case Command::service_list: return answer_service();
    case Command::service_add:
    case Command::service_remove:
    case Command::service_on:
    case Command::service_off: return change_service(request);
    case Command::ruleset: return Json{{"ruleset", ruleset_text(steering_.options())}};
    case Command::count_: break;
  }
  return std::unexpected(control::Error{"unknown command", "use sipalgctl and sipalgd of the same release"});
} catch (const std::exception& error) {
  return std::unexpected(control::Error{error.what(), "try again; if it stays, restart sipalgd"});
}

}  // namespace sipalg
