// SPDX-License-Identifier: GPL-2.0-or-later
// See service_switch.h.
#include "alg/daemon/service_switch.h"

#include <algorithm>
#include <array>

namespace sipalg {
namespace {

constexpr std::array spoken{Protocol::udp, Protocol::tcp};

constexpr std::size_t most_draining = 64;

struct FileLine {
  bool on;
  std::vector<uint16_t> ports;
};
FileLine line_of(const Config::Service& file, Protocol protocol) {
  return {protocol == Protocol::tcp ? file.tcp : file.udp, file.ports};
}

std::unexpected<control::Error> fail(std::string text, std::string cure) {
  return std::unexpected(control::Error{std::move(text), std::move(cure)});
}

std::string text_of(Protocol protocol, uint16_t port) { return std::string(name_of(protocol)) + " port " + std::to_string(port); }

constexpr const char* see_list = "`sipalgctl service list` shows the ports in service";

}  // namespace

std::span<const Protocol> spoken_protocols() { return spoken; }

ServiceSwitch::ServiceSwitch(const Config::Service& file) : file_(file) {
  for (const Protocol protocol : spoken) {
    const FileLine line = line_of(file, protocol);
    service_.of(protocol) = {line.on, line.ports, {}};
  }
}

ServiceSwitch::Result ServiceSwitch::apply(control::Command command, const control::ServiceArgument& argument) {
  using control::Command;
  if (command == Command::service_add) return add(*argument.protocol, argument.port);
  if (command == Command::service_remove) return remove(*argument.protocol, argument.port);
  for (const Protocol protocol : spoken)
    if (!argument.protocol || argument.protocol == protocol) turn(protocol, command == Command::service_on);
  return {};
}

ServiceSwitch::Result ServiceSwitch::add(Protocol protocol, uint16_t port) {
  const auto& ports = service_.of(protocol).ports;
  if (std::ranges::binary_search(ports, port)) return fail(text_of(protocol, port) + " is in service already", see_list);
  if (ports.size() >= limits::service_ports)
    return fail(std::to_string(ports.size()) + " " + std::string(name_of(protocol)) + " ports are in service, more are not taken",
                "take one away first: `sipalgctl service remove " + std::string(name_of(protocol)) + " " +
                    std::to_string(ports.back()) + "`");
  put(protocol, port);
  return {};
}

ServiceSwitch::Result ServiceSwitch::remove(Protocol protocol, uint16_t port) {
  if (!std::ranges::binary_search(service_.of(protocol).ports, port))
    return fail(text_of(protocol, port) + " is not in service", see_list);
  if (draining(protocol).size() >= most_draining)
    return fail("calls and registrations of " + std::to_string(most_draining) + " removed ports still go on",
                "wait until they end, or end them: `sipalgctl clear registrations`, `sipalgctl clear calls`");
  take_away(protocol, port);
  return {};
}

void ServiceSwitch::put(Protocol protocol, uint16_t port) {
  SipService::Line& line = service_.of(protocol);
  line.ports.insert(std::ranges::lower_bound(line.ports, port), port);
  line.removed.erase(port);
  if (line.on) draining(protocol).erase(port);
}

void ServiceSwitch::take_away(Protocol protocol, uint16_t port) {
  SipService::Line& line = service_.of(protocol);
  std::erase(line.ports, port);
  line.removed.insert(port);
  if (line.on) draining(protocol).insert(port);
}

void ServiceSwitch::turn(Protocol protocol, bool on) {
  SipService::Line& line = service_.of(protocol);
  if (line.on == on) return;
  line.on = on;
  for (const uint16_t port : line.ports) on ? void(draining(protocol).erase(port)) : void(draining(protocol).insert(port));
}

void ServiceSwitch::reload(const Config::Service& file) {
  for (const Protocol protocol : spoken) {
    const FileLine before = line_of(file_, protocol), now = line_of(file, protocol);
    if (now.on != before.on) turn(protocol, now.on);
    if (now.ports == before.ports) continue;
    const std::vector<uint16_t> known = service_.of(protocol).ports;
    for (const uint16_t port : known)
      if (!std::ranges::binary_search(now.ports, port)) take_away(protocol, port);
    for (const uint16_t port : now.ports)
      if (!std::ranges::binary_search(known, port)) put(protocol, port);
  }
  file_ = file;
}

bool ServiceSwitch::differs_from_file() const {
  return std::ranges::any_of(spoken, [this](Protocol protocol) {
    const FileLine file = line_of(file_, protocol);
    return service_.of(protocol).on != file.on || service_.of(protocol).ports != file.ports;
  });
}

bool ServiceSwitch::drain(const NeedsPort& needs_port) {
  std::size_t gone = 0;
  for (const Protocol protocol : spoken) {
    const SipService::Line& line = service_.of(protocol);
    const std::span<const uint16_t> in_service = line.on ? std::span(line.ports) : std::span<const uint16_t>();
    gone += std::erase_if(draining(protocol), [&](uint16_t port) { return !needs_port(protocol, port, in_service); });
  }
  return gone != 0;
}

std::vector<uint16_t> ServiceSwitch::steered(Protocol protocol) const {
  Ports ports = draining(protocol);
  const SipService::Line& line = service_.of(protocol);
  if (line.on) ports.insert(line.ports.begin(), line.ports.end());
  return {ports.begin(), ports.end()};
}

report::ServiceLine ServiceSwitch::report(Protocol protocol) const {
  const FileLine file = line_of(file_, protocol);
  const SipService::Line& line = service_.of(protocol);
  const Ports& ports = draining(protocol);
  return {protocol, line.on, line.ports, {ports.begin(), ports.end()}, 0, file.on, file.ports};
}

}  // namespace sipalg
