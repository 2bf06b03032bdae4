// SPDX-License-Identifier: GPL-2.0-or-later
// `sipalgctl service ...`: the lines of SipService, as the file sets them and the administrator switches them.
//
// How it works
//   The file's [service] holds at start. add, remove, on and off change what holds now, not the file: a restart forgets
//   them. A reload puts in force what the file says differently from the last time it was read, key by key; a key that
//   says the same leaves what was switched by hand.
//   A port that leaves service *drains*: its packets go on coming to the queue while a record lives that needs them
//   (Engine::needs_port), because the endpoints of living doors do not cover every flow of a call. Asked once a second;
//   the last record gone, the port leaves the kernel's set, and its packets are not seen any more.
//   The object is a value: change a copy, tell the kernel, keep the copy when it agreed.
//   Proved by test/unit (service_switch.cc) and the network tests service_*.
#pragma once
#include <expected>
#include <functional>
#include <set>
#include <span>
#include <vector>

#include "alg/control/report.h"
#include "alg/control/service_argument.h"
#include "alg/daemon/config.h"
#include "alg/engine/sip_service.h"

namespace sipalg {

std::span<const Protocol> spoken_protocols();

class ServiceSwitch {
 public:
  explicit ServiceSwitch(const Config::Service& file);

  using Result = std::expected<void, control::Error>;
  Result apply(control::Command command, const control::ServiceArgument& argument);
  void reload(const Config::Service& file);
  bool differs_from_file() const;

  using NeedsPort = std::function<bool(Protocol, uint16_t port, std::span<const uint16_t> in_service)>;
  bool drain(const NeedsPort& needs_port);  // true: steered() has become less

  const SipService& service() const { return service_; }
  std::vector<uint16_t> steered(Protocol protocol) const;  // the ports whose packets the kernel brings
  report::ServiceLine report(Protocol protocol) const;     // without its endpoints

 private:
  using Ports = std::set<uint16_t>;
  Ports& draining(Protocol protocol) { return protocol == Protocol::tcp ? draining_tcp_ : draining_udp_; }
  const Ports& draining(Protocol protocol) const { return protocol == Protocol::tcp ? draining_tcp_ : draining_udp_; }
  Result add(Protocol protocol, uint16_t port);
  Result remove(Protocol protocol, uint16_t port);
  void put(Protocol protocol, uint16_t port);
  void take_away(Protocol protocol, uint16_t port);
  void turn(Protocol protocol, bool on);

  Config::Service file_;
  SipService service_;
  Ports draining_udp_, draining_tcp_;
};

}  // namespace sipalg
