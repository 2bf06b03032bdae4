// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of the JSON are a promise to scripts. A test that fails here breaks somebody's monitoring.
#include <catch2/catch.hpp>

#include "alg/control/report_json.h"
#include "alg/control/stats_json.h"

using namespace sipalg;

namespace {

std::string keys_of(const Json& object) {
  std::string out;
  for (const auto& [key, value] : object.items()) out += (out.empty() ? "" : " ") + key;
  return out;
}
Endpoint endpoint(const char* text) { return *parse_endpoint(text); }

}  // namespace

TEST_CASE("keys of the reports") {
  CHECK(keys_of(to_json(report::Door{})) == "id purpose protocol inside outside scope owners in_kernel remaining_ms");
  CHECK(keys_of(to_json(report::Stream{})) == "line kind inside outside remote direction");
  CHECK(keys_of(to_json(report::Call{})) ==
        "call_id inside_tag outside_tag inside_host direction state from to age_ms idle_ms remaining_ms held streams doors");
  CHECK(keys_of(to_json(report::Registration{})) == "aor contact inside outside registrar remaining_ms");
  CHECK(keys_of(to_json(report::ServiceLine{})) == "protocol on ports draining endpoints file differs");
  CHECK(keys_of(to_json(report::ServiceLine{})["file"]) == "on ports");
  CHECK(keys_of(to_json(report::Totals{})) == "transactions calls subscriptions dialogs registrations doors kernel_doors");
}

TEST_CASE("values of a door") {
  report::Door door;
  door.id = 7;
  door.purpose = "rtp";
  door.inside = endpoint("10.0.0.2:4000");
  door.outside = endpoint("[2001:db8::1]:4000");
  door.scope = "any";
  const Json json = to_json(door);
  CHECK(json["inside"] == "10.0.0.2:4000");
  CHECK(json["outside"] == "[2001:db8::1]:4000");
  CHECK(json["protocol"] == "udp");
  CHECK(json["remaining_ms"].is_null());
  door.remaining = 1500;
  CHECK(to_json(door)["remaining_ms"] == 1500);
}

TEST_CASE("a list tells its total, and what was left off") {
  const std::vector<report::Door> doors(5);
  const Json all = report::list_to_json<report::Door>("doors", doors, 5);
  CHECK(keys_of(all) == "doors total");
  CHECK(all["doors"].size() == 5);
  const Json some = report::list_to_json<report::Door>("doors", doors, 2);
  CHECK(some["doors"].size() == 2);
  CHECK(some["total"] == 5);
  CHECK(some["left_off"] == 3);
}

TEST_CASE("keys of the counters") {
  Stats stats;
  stats.responses[486] = 2;
  stats.count_packet(Reason::edited);
  stats.count(Event::doors_opened, 3);
  const Json json = to_json(stats);
  CHECK(keys_of(json) == "methods responses packets groups events scan_errors opinions edits");
  CHECK(json["methods"].size() == Stats::methods);
  CHECK(json["methods"]["INVITE"]["received"] == 0);
  CHECK(keys_of(json["responses"]) == "486");
  for (std::size_t i = 0; i < count_of<Reason>; ++i) {
    const auto reason = static_cast<Reason>(i);
    CHECK(json["packets"].contains(std::string(name_of(reason))) == is_of_packets(reason));
    CHECK(json["groups"].contains(std::string(name_of(reason))) == is_of_groups(reason));
  }
  CHECK(json["packets"]["edited"] == 1);
  CHECK(json["events"].size() == count_of<Event>);
  CHECK(json["events"]["doors-opened"] == 3);
  CHECK(keys_of(json["opinions"]["differ"]) == "Via Contact Record-Route Path Service-Route");
}
