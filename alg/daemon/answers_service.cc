// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket answers to `service ...`.
//
// A zone firewall (sipalgctl firewall) is the administrator's: it changes when he applies it, with the ports that are
// in service then. Here is only told what it lacks.
#include <set>

#include "alg/control/report_json.h"
#include "alg/daemon/daemon.h"

namespace sipalg {
namespace {

std::string text_of(const report::ServiceLine& line) {
  std::string text = std::string(name_of(line.protocol)) + (line.on ? " on, ports" : " off, ports");
  for (const uint16_t port : line.ports) text += " " + std::to_string(port);
  for (const uint16_t port : line.draining) text += " (" + std::to_string(port) + " until its calls and registrations end)";
  return text;
}

}  // namespace

// Where SIP is taken and the zone firewall lets none begin. None: no zone firewall is loaded.
std::optional<std::vector<uint16_t>> Daemon::ports_the_zones_lack() {
  std::set<uint16_t> ports;
  for (const Protocol protocol : spoken_protocols()) {
    const report::ServiceLine line = switch_.report(protocol);
    ports.insert(line.ports.begin(), line.ports.end());
  }
  auto lacking = steering_.find_missing_ports(std::string(zones_table), std::string(zones_ports), std::vector(ports.begin(), ports.end()));
  if (!lacking) return std::nullopt;
  return std::move(*lacking);
}

Json Daemon::answer_service() {
  Json lines = Json::array();
  for (const Protocol protocol : spoken_protocols()) {
    report::ServiceLine line = switch_.report(protocol);
    line.endpoints = steering_.endpoint_count(protocol);
    lines.push_back(report::to_json(line));
  }
  const auto lacking = ports_the_zones_lack();
  return {{"service", std::move(lines)},
          {"steering", name_of(steering_.way())},
          {"zone_firewall", {{"loaded", lacking.has_value()}, {"lacks", lacking.value_or(std::vector<uint16_t>())}}}};
}

// The answer is what holds now.
std::expected<Json, control::Error> Daemon::change_service(const control::Request& request) {
  const auto argument = control::parse_service_argument(request.command, request.argument);
  if (!argument) return std::unexpected(argument.error());
  ServiceSwitch next = switch_;
  if (const auto changed = next.apply(request.command, *argument); !changed) return std::unexpected(changed.error());
  if (const auto result = put_service(std::move(next)); !result)
    return std::unexpected(control::Error{"the kernel refused the new ports: " + result.error().message(),
                                          "nothing was changed; try again"});
  tell_service();
  return answer_service();
}

bool Daemon::drain(ServiceSwitch& service) const {
  return service.drain([this](Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) {
    return engine_.needs_port(protocol, port, in_service);
  });
}

Steering::Result Daemon::put_service(ServiceSwitch next) {
  drain(next);
  const auto result = steering_.set_ports(next.steered(Protocol::udp), next.steered(Protocol::tcp));
  if (!result) return result;
  switch_ = std::move(next);
  engine_.set_service(switch_.service());
  return {};
}

// Ports whose last record is gone. Refused: asked for again a second later.
void Daemon::drain_ports() {
  ServiceSwitch next = switch_;
  if (!drain(next)) return;
  if (put_service(std::move(next))) tell_service();
}

void Daemon::tell_service() {
  for (const Protocol protocol : spoken_protocols()) log_.info("service: " + text_of(switch_.report(protocol)));
  tell_zones();
}

void Daemon::tell_zones() {
  for (const uint16_t port : ports_the_zones_lack().value_or(std::vector<uint16_t>()))
    log_.warning("the zone firewall that is loaded lets no SIP begin on port " + std::to_string(port) +
                 "; `sipalgctl firewall --apply` changes that");
}

}  // namespace sipalg
