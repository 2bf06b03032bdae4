// SPDX-License-Identifier: GPL-2.0-or-later
// The counters as JSON, in the groups that `show stats` shows.
#include "alg/control/stats_json.h"

namespace sipalg {
namespace {

Json methods_to_json(const Stats& stats) {
  Json out = Json::object();
  for (std::size_t i = 0; i < Stats::methods; ++i) {
    const auto method = static_cast<sip::Method>(i);
    out[std::string(sip::name_of(method))] = {{"received", stats.requests[i]}, {"ok", stats.ok[i]}};
  }
  return out;
}

Json responses_to_json(const Stats& stats) {
  Json out = Json::object();
  for (std::size_t code = 0; code < stats.responses.size(); ++code)
    if (stats.responses[code] != 0) out[std::to_string(code)] = stats.responses[code];
  return out;
}

template <typename E> bool always(E) { return true; }

// Those that can be counted here at all.
template <typename E, std::size_t n> Json named_to_json(const std::array<uint64_t, n>& counters, bool (*counts)(E) = always<E>) {
  Json out = Json::object();
  for (std::size_t i = 0; i < n; ++i)
    if (counts(static_cast<E>(i))) out[std::string(name_of(static_cast<E>(i)))] = counters[i];
  return out;
}

}  // namespace

Json to_json(const Stats& stats) {
  return {{"methods", methods_to_json(stats)},
          {"responses", responses_to_json(stats)},
          {"packets", named_to_json<Reason>(stats.packets, is_of_packets)},
          {"groups", named_to_json<Reason>(stats.groups, is_of_groups)},
          {"events", named_to_json<Event>(stats.events)},
          {"scan_errors", named_to_json<sip::ScanError>(stats.scan_errors)},
          {"opinions",
           {{"differ", named_to_json<DoorField>(stats.opinions_differ)}, {"unreadable", named_to_json<DoorField>(stats.opinions_unreadable)}}},
          {"edits", stats.edits}};
}

}  // namespace sipalg
