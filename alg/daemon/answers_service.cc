// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket answers to `service ...`.
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

Json Daemon::answer_service() const {
  Json lines = Json::array();
  for (const Protocol protocol : spoken_protocols()) {
    report::ServiceLine line = switch_.report(protocol);
    line.endpoints = steering_.endpoint_count(protocol);
    lines.push_back(report::to_json(line));
  }
  return {{"service", std::move(lines)}, {"steering", name_of(steering_.way())}};
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

void Daemon::tell_service() const {
  for (const Protocol protocol : spoken_protocols()) log_.info("service: " + text_of(switch_.report(protocol)));
}

}  // namespace sipalg
