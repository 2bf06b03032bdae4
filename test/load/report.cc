// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/report.h"

#include <algorithm>

namespace sipalg::load {
namespace {

double rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

Snapshot Snapshot::now(const Plan& plan, const Shared& shared, const Player& player) {
  return {now_ns(), shared.inside.arrived + shared.outside.arrived, player.exchanges(), player.given_up(), Usage::now(plan.watch)};
}

nlohmann::ordered_json phase(const Snapshot& from, const Snapshot& to) {
  const double seconds = static_cast<double>(to.at - from.at) / 1e9;
  const auto messages = static_cast<double>(to.arrived - from.arrived);
  const auto per_message = [&](double cpu) { return messages > 0 ? rounded(cpu * 1e6 / messages) : 0; };
  nlohmann::ordered_json told;
  told["seconds"] = rounded(seconds);
  told["messages"] = to.arrived - from.arrived;
  told["messages_per_second"] = rounded(messages / seconds);
  told["exchanges"] = to.exchanges - from.exchanges;
  told["exchanges_per_second"] = rounded(static_cast<double>(to.exchanges - from.exchanges) / seconds);
  told["given_up"] = to.given_up - from.given_up;
  // what the generator itself needs is in the machine's
  told["cpu_us_per_message"] = {{"watched", per_message(to.usage.watched - from.usage.watched)},
                                {"machine", per_message(to.usage.machine - from.usage.machine)},
                                {"generator", per_message(to.usage.own - from.usage.own)}};
  told["resident_bytes"] = {from.usage.watched_bytes, to.usage.watched_bytes};
  return told;
}

nlohmann::ordered_json quantiles(std::vector<uint32_t> ns) {
  nlohmann::ordered_json told{{"count", ns.size()}};
  if (ns.empty()) return told;
  std::ranges::sort(ns);
  const auto at = [&](double part) { return rounded(ns[static_cast<std::size_t>(part * static_cast<double>(ns.size() - 1))] / 1000.0); };
  told["p50"] = at(0.5);
  told["p99"] = at(0.99);
  told["p99.9"] = at(0.999);
  told["longest"] = at(1);
  return told;
}

nlohmann::ordered_json faults(Shared& shared, const Player& player) {
  const uint64_t sent = shared.inside.sent + shared.outside.sent, wrong = shared.inside.wrong + shared.outside.wrong;
  return {{"sent", sent}, {"wrong", wrong}, {"lost", shared.missing()}, {"given_up", player.given_up()}, {"strays", player.strays()},
          {"first", shared.noted()}};
}

}  // namespace sipalg::load
