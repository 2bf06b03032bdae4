// SPDX-License-Identifier: GPL-2.0-or-later
// The service as the file sets it and the administrator switches it.
#include <catch2/catch.hpp>

#include "alg/daemon/service_switch.h"

using namespace sipalg;
using control::Command;
using Ports = std::vector<uint16_t>;

namespace {

ServiceSwitch::Result change(ServiceSwitch& service, Command command, std::string_view text = {}) {
  const auto argument = control::parse_service_argument(command, text);
  REQUIRE(argument);
  return service.apply(command, *argument);
}
const auto nothing_lives = [](Protocol, uint16_t, std::span<const uint16_t>) { return false; };

}  // namespace

TEST_CASE("what holds at start is the file's") {
  const ServiceSwitch service(Config::Service{true, false, {5060, 5080}});
  CHECK(service.steered(Protocol::udp) == Ports{5060, 5080});
  CHECK(service.steered(Protocol::tcp).empty());
  CHECK_FALSE(service.differs_from_file());
  const ServiceSwitch off(Config::Service{false, false, {5060}});
  CHECK(off.steered(Protocol::udp).empty());
  CHECK_FALSE(off.service().udp.on);
  const ServiceSwitch both(Config::Service{});
  CHECK(both.steered(Protocol::udp) == Ports{5060});
  CHECK(both.steered(Protocol::tcp) == Ports{5060});
}

TEST_CASE("a removed port drains until nothing needs it") {
  ServiceSwitch service{Config::Service{}};
  REQUIRE(change(service, Command::service_add, "udp 5070"));
  REQUIRE(change(service, Command::service_remove, "udp 5060"));
  CHECK(service.service().udp.ports == Ports{5070});
  CHECK(service.service().udp.removed.contains(5060));
  CHECK(service.steered(Protocol::udp) == Ports{5060, 5070});
  CHECK_FALSE(service.drain([](Protocol, uint16_t port, std::span<const uint16_t> in_service) {
    return port == 5060 && in_service.size() == 1 && in_service.front() == 5070;
  }));
  CHECK(service.drain(nothing_lives));
  CHECK(service.steered(Protocol::udp) == Ports{5070});
  CHECK(service.service().udp.removed.contains(5060));  // endpoints of doors may still bring its packets
  REQUIRE(change(service, Command::service_add, "udp 5060"));
  CHECK(service.service().udp.removed.empty());
  CHECK(service.report(Protocol::udp).draining.empty());
}

TEST_CASE("off drains every port, on takes them back, both may be said twice") {
  ServiceSwitch service{Config::Service{true, false, {5060, 5070}}};
  for (int i = 0; i < 2; ++i) REQUIRE(change(service, Command::service_off));
  CHECK(service.report(Protocol::udp).draining == Ports{5060, 5070});
  CHECK(service.differs_from_file());
  SECTION("while calls live") { REQUIRE(change(service, Command::service_on, "udp")); }
  SECTION("after the last one") {
    CHECK(service.drain(nothing_lives));
    CHECK(service.steered(Protocol::udp).empty());
    REQUIRE(change(service, Command::service_remove, "udp 5070"));
    REQUIRE(change(service, Command::service_add, "udp 5070"));
    CHECK(service.steered(Protocol::udp).empty());
    for (int i = 0; i < 2; ++i) REQUIRE(change(service, Command::service_on, "udp"));
  }
  CHECK(service.steered(Protocol::udp) == Ports{5060, 5070});
  CHECK(service.report(Protocol::udp).draining.empty());
  CHECK_FALSE(service.differs_from_file());
}

TEST_CASE("UDP and TCP are switched each for itself") {
  ServiceSwitch service{Config::Service{}};
  REQUIRE(change(service, Command::service_add, "tcp 5070"));
  CHECK(service.steered(Protocol::udp) == Ports{5060});
  CHECK(service.steered(Protocol::tcp) == Ports{5060, 5070});
  REQUIRE(change(service, Command::service_off, "tcp"));
  CHECK(service.report(Protocol::tcp).draining == Ports{5060, 5070});
  CHECK(service.service().udp.on);
  CHECK(service.drain(nothing_lives));
  CHECK(service.steered(Protocol::tcp).empty());
  CHECK(service.steered(Protocol::udp) == Ports{5060});
  REQUIRE(change(service, Command::service_off));
  REQUIRE(change(service, Command::service_on));
  CHECK(service.service().udp.on);
  CHECK(service.service().tcp.on);
}

TEST_CASE("a reload applies the keys that changed and leaves the others") {
  ServiceSwitch service{Config::Service{true, false, {5060}}};
  REQUIRE(change(service, Command::service_add, "udp 5070"));
  REQUIRE(change(service, Command::service_off));
  service.reload(Config::Service{true, false, {5060}});
  CHECK(service.service().udp.ports == Ports{5060, 5070});
  CHECK_FALSE(service.service().udp.on);
  service.reload(Config::Service{true, false, {5062}});
  CHECK(service.service().udp.ports == Ports{5062});
  CHECK_FALSE(service.service().udp.on);
  CHECK(service.service().udp.removed == std::set<uint16_t>{5060, 5070});
  REQUIRE(change(service, Command::service_on, "udp"));
  service.reload(Config::Service{false, false, {5062}});
  CHECK_FALSE(service.service().udp.on);
  CHECK_FALSE(service.differs_from_file());
}

TEST_CASE("what does not fit is refused with its cure, and changes nothing") {
  struct Row {
    Command command;
    const char *argument, *text;
  };
  const Row rows[] = {
      {Command::service_add, "udp 5060", "udp port 5060 is in service already"},
      {Command::service_remove, "udp 5061", "udp port 5061 is not in service"},
      {Command::service_add, "tcp 5060", "tcp port 5060 is in service already"},
      {Command::service_remove, "tcp 5070", "tcp port 5070 is not in service"},
  };
  for (const Row& row : rows) {
    INFO(row.argument);
    ServiceSwitch service{Config::Service{}};
    const auto changed = change(service, row.command, row.argument);
    REQUIRE_FALSE(changed);
    CHECK_THAT(changed.error().text, Catch::Contains(row.text));
    CHECK_FALSE(changed.error().cure.empty());
    CHECK_FALSE(service.differs_from_file());
  }
}

TEST_CASE("ports in service and draining ports are bounded") {
  ServiceSwitch service{Config::Service{}};
  for (unsigned port = 6001; port <= 6015; ++port) REQUIRE(change(service, Command::service_add, "udp " + std::to_string(port)));
  CHECK_FALSE(change(service, Command::service_add, "udp 6016"));
  unsigned removed = 0;
  for (unsigned port = 7000; port < 7200; ++port) {
    if (!change(service, Command::service_remove, "udp " + std::to_string(service.service().udp.ports.back()))) break;
    ++removed;
    REQUIRE(change(service, Command::service_add, "udp " + std::to_string(port)));
  }
  CHECK(removed == 64);
  CHECK(service.steered(Protocol::udp).size() == 64 + 16);
}

TEST_CASE("words of the command line") {
  struct Row {
    Command command;
    const char *text, *error;
  };
  const Row rows[] = {
      {Command::service_add, "", "no protocol"},
      {Command::service_add, "sctp 5060", "'sctp' is no protocol"},
      {Command::service_add, "UDP 5060", "'UDP' is no protocol"},
      {Command::service_add, "udp", "'' is no port"},
      {Command::service_add, "udp ", "'' is no port"},
      {Command::service_add, "udp 0", "'0' is no port"},
      {Command::service_add, "udp 65536", "'65536' is no port"},
      {Command::service_add, "udp 99999999999999999999", "is no port"},
      {Command::service_add, "udp -1", "'-1' is no port"},
      {Command::service_add, "udp 5060 5070", "is no port"},
      {Command::service_remove, "udp 5060x", "'5060x' is no port"},
      {Command::service_remove, "udp \x1b[2J", "'\\x1b[2J' is no port"},
      {Command::service_on, "udp 5060", "too much"},
      {Command::service_off, "dccp", "'dccp' is no protocol"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto argument = control::parse_service_argument(row.command, row.text);
    REQUIRE_FALSE(argument);
    CHECK_THAT(argument.error().text, Catch::Contains(row.error));
    CHECK_FALSE(argument.error().cure.empty());
  }
  const auto both = control::parse_service_argument(Command::service_add, "tcp 65535");
  REQUIRE(both);
  CHECK(both->protocol == Protocol::tcp);
  CHECK(both->port == 65535);
  CHECK_FALSE(control::parse_service_argument(Command::service_off, "")->protocol);
}
