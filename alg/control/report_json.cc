// SPDX-License-Identifier: GPL-2.0-or-later
// The reports as JSON: endpoints and addresses as text, durations in milliseconds, what is not known is null.
#include "alg/control/report_json.h"

namespace sipalg::report {
namespace {

Json or_null(const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); }
Json or_null(const std::optional<Endpoint>& value) { return value ? Json(to_string(*value)) : Json(nullptr); }

}  // namespace

Json to_json(const Door& door) {
  return {{"id", door.id},
          {"purpose", door.purpose},
          {"protocol", name_of(door.protocol)},
          {"inside", to_string(door.inside)},
          {"outside", to_string(door.outside)},
          {"scope", door.scope},
          {"owners", door.owners},
          {"in_kernel", door.in_kernel},
          {"remaining_ms", or_null(door.remaining)}};
}

Json to_json(const Stream& stream) {
  return {{"line", stream.line},
          {"kind", stream.kind},
          {"inside", to_string(stream.inside)},
          {"outside", to_string(stream.outside)},
          {"remote", or_null(stream.remote)},
          {"direction", stream.direction}};
}

Json to_json(const Call& call) {
  Json streams = Json::array();
  for (const Stream& stream : call.streams) streams.push_back(to_json(stream));
  return {{"call_id", call.call_id},
          {"inside_tag", call.inside_tag},
          {"outside_tag", call.outside_tag},
          {"inside_host", to_string(call.inside_host)},
          {"direction", call.direction},
          {"state", call.state},
          {"from", call.from},
          {"to", call.to},
          {"age_ms", call.age},
          {"idle_ms", call.idle},
          {"remaining_ms", or_null(call.remaining)},
          {"held", call.held},
          {"streams", std::move(streams)},
          {"doors", call.doors}};
}

Json to_json(const Registration& registration) {
  return {{"aor", registration.aor},
          {"contact", registration.contact},
          {"inside", to_string(registration.inside)},
          {"outside", to_string(registration.outside)},
          {"registrar", to_string(registration.registrar)},
          {"remaining_ms", registration.remaining}};
}

Json to_json(const Connection& connection) {
  const auto end = [](const End& which) { return Json{{"inside", to_string(which.inside)}, {"outside", to_string(which.outside)}}; };
  return {{"opener", end(connection.opener)},
          {"answerer", end(connection.answerer)},
          {"zone", connection.zone},
          {"state", connection.state},
          {"reads_opener", connection.reads_opener},
          {"reads_answerer", connection.reads_answerer},
          {"resized", connection.resized},
          {"held_segments", connection.held_segments},
          {"held_bytes", connection.held_bytes},
          {"idle_ms", connection.idle}};
}

Json to_json(const ServiceLine& line) {
  return {{"protocol", name_of(line.protocol)},
          {"on", line.on},
          {"ports", line.ports},
          {"draining", line.draining},
          {"endpoints", line.endpoints},
          {"file", {{"on", line.file_on}, {"ports", line.file_ports}}},
          {"differs", line.on != line.file_on || line.ports != line.file_ports}};
}

Json to_json(const Totals& totals) {
  return {{"transactions", totals.transactions}, {"calls", totals.calls},
          {"subscriptions", totals.subscriptions},
          {"dialogs", totals.dialogs},           {"registrations", totals.registrations},
          {"doors", totals.doors},               {"kernel_doors", totals.kernel_doors}};
}

}  // namespace sipalg::report
