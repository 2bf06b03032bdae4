// SPDX-License-Identifier: GPL-2.0-or-later
// The table: made, changed, printed, gone with its process.
#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <numeric>
#include <sys/wait.h>
#include <unistd.h>

#include "conntrack/nf_door_keeper.h"
#include "conntrack/queue.h"
#include "conntrack/steering.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

SteeringOptions full_options() {
  SteeringOptions options;
  options.births = true;
  options.tcp = true;
  options.tcp_ports = {5060};
  options.inside = {*parse_network("10.0.0.0/24"), *parse_network("10.0.1.0/24"), *parse_network("10.0.0.0/16"),
                    *parse_network("255.255.255.0/24"), *parse_network("fd00::/64")};
  options.peers = {*parse_network("198.51.100.0/24")};
  return options;
}

std::string listing(const World& world, const std::string& what) {
  return world.run(Side::router, "nft list " + what + " 2>/dev/null");
}
bool lists(const World& world, const std::string& what, const std::string& text) {
  return listing(world, what).find(text) != std::string::npos;
}

} // namespace

TEST_CASE("a second daemon is refused beside a living one, whatever the name of its table") {
  World world(Firewall::none);
  SteeringOptions other = full_options();
  other.table = "sipalg2";
  other.manual = GENERATE(false, true);
  {
    const Steering first(other.manual ? full_options() : other);
    CHECK_THROWS_AS(Steering(other), SecondDaemon);
    other.table = "sipalg3";
    CHECK_THROWS_WITH(Steering(other), Catch::Contains("its table is inet " + first.options().table));
    CHECK_FALSE(lists(world, "tables", "sipalg3"));
  }
  CHECK((Steering(other).way() == Steering::Way::manual) == other.manual);
}

TEST_CASE("the living daemon keeps what is queued when a second one is refused") {
  World world(Firewall::none);
  Queue queue{QueueOptions{}};
  SteeringOptions options = full_options();
  options.births = !queue.has_conntrack();
  const Steering first(options);
  const auto phone = world.udp(Side::inside, "10.0.0.2:5060"), remote = world.udp(Side::outside, "203.0.113.2:5060");
  phone.send("hello", ep("203.0.113.2:5060"));
  world.idle(std::chrono::milliseconds(20));
  options.table = "sipalg2";
  CHECK_THROWS_AS(Steering(options), SecondDaemon);
  queue.drain([](const QueuedPacket&, PendingVerdict) {});
  CHECK(describe(world.receive(remote)).starts_with("hello"));
}

TEST_CASE("nft shows the table's comment, and a table that was saved and loaded again is no living daemon's") {
  World world(Firewall::none);
  const auto begin_of = [&](const char* table) { // as far as its first chain or set: nft can not read all it prints
    const std::string text = listing(world, std::string("table inet ") + table);
    return text.substr(0, text.find("\n\n")) + "\n}\n";
  };
  std::string saved;
  {
    const Steering steering(full_options());
    saved = begin_of("sipalg");
  }
  CHECK_THAT(saved, Catch::Contains("flags owner") && Catch::Contains("comment \"sipalgd\""));
  const std::string file = "/tmp/sipalg-saved-" + std::to_string(getpid());
  std::ofstream(file) << saved; // ends with the nft that owns it
  CHECK(world.run(Side::router, "nft -f " + file) == "");
  std::ofstream(file) << "table inet saved {\n comment \"sipalgd\"\n}\ntable ip other { comment \"sipalgd\"; }\n";
  CHECK(world.run(Side::router, "nft -f " + file) == "");
  unlink(file.c_str());
  CHECK(begin_of("saved").find("comment \"sipalgd\"") != std::string::npos);
  CHECK_NOTHROW(Steering(full_options()));
}

TEST_CASE("a table of the same name that is no daemon's is refused, and stays") {
  World world(Firewall::none);
  world.run(Side::router, "nft add table inet sipalg");
  CHECK_THROWS_AS(Steering(full_options()), std::system_error);
  CHECK(lists(world, "tables", "inet sipalg"));
}

TEST_CASE("nobody else changes the table, flushing the ruleset passes it by") {
  World world(Firewall::none);
  const Steering steering(full_options());
  CHECK(world.run(Side::router, "nft delete table inet sipalg").find("not permitted") != std::string::npos);
  world.run(Side::router, "nft flush ruleset");
  CHECK(lists(world, "tables", "inet sipalg"));
}

TEST_CASE("SIGKILL leaves no table") {
  World world(Firewall::none);
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const Steering steering(full_options());
    [[maybe_unused]] const auto wrote = write(ready[1], "x", 1);
    for (;;) pause();
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  CHECK(lists(world, "tables", "inet sipalg"));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK_FALSE(lists(world, "tables", "inet sipalg"));
}

TEST_CASE("endpoints and translations are counted; a refused change leaves nothing") {
  World world(Firewall::none);
  Steering steering(full_options());
  SteeringChange change;
  change.add_endpoints = {{Protocol::udp, ep("203.0.113.1:5080")}, {Protocol::tcp, ep("[2001:db8::1]:5080")}};
  change.add_translations = {
      {Protocol::udp, ep("10.0.0.2:4000"), ep("203.0.113.1:4000"), {}},
      {Protocol::tcp, ep("[fd00::2]:4000"), ep("[2001:db8::1]:4000"), *parse_network("2001:db8::2")},
      {Protocol::udp, ep("10.0.0.2:4000"), ep("203.0.113.1:4000"), *parse_network("198.51.100.0/25")}};
  REQUIRE(steering.apply(change));
  REQUIRE(steering.apply(change));
  REQUIRE(steering.apply(change.undo()));
  CHECK(lists(world, "set inet sipalg endpoints_udp4", "203.0.113.1 . 5080"));
  CHECK(lists(world, "map inet sipalg in_udp4", "203.0.113.1 . 4000 : 10.0.0.2 . 4000"));
  CHECK(lists(world, "map inet sipalg out_peers_udp4", "10.0.0.2 . 4000 : 203.0.113.1 . 4000"));
  CHECK(lists(world, "map inet sipalg in_one_tcp6", "2001:db8::1 . 4000 . 2001:db8::2 : fd00::2 . 4000"));
  SteeringChange refused;
  refused.add_endpoints = {{Protocol::udp, ep("203.0.113.1:5090")}};
  refused.add_translations = {{Protocol::udp, ep("10.0.0.9:4000"), ep("203.0.113.1:4000"), {}}};
  CHECK_FALSE(steering.apply(refused));
  CHECK_FALSE(lists(world, "table inet sipalg", "5090"));
  REQUIRE(steering.apply(change.undo()));
  REQUIRE(steering.apply(change.undo())); // removing what is gone is no error
  CHECK_FALSE(lists(world, "table inet sipalg", "4000"));
  REQUIRE(steering.apply(refused));
}

TEST_CASE("what begins as RTP does is compared with the ports of the service") {
  World world(Firewall::none);
  Steering steering(full_options());
  const auto asks = [&](const char* what) { return lists(world, "chain inet sipalg sipalg", what); };
  CHECK(asks("& 0xc0 == 0x80 udp dport != 5060 return"));
  REQUIRE(steering.set_ports({5070, 5080}, {5061}));
  CHECK(asks("udp dport != 5070 udp dport != 5080 return"));
  CHECK(asks("goto signalling"));
  std::vector<uint16_t> many(limits::service_ports);
  std::iota(many.begin(), many.end(), uint16_t{6000});
  REQUIRE(steering.set_ports(many, {}));
  CHECK(asks("udp dport != 6014 udp dport != 6015 return"));
  REQUIRE(steering.set_ports({}, {}));
  CHECK(asks("& 0xc0 == 0x80 return"));
  CHECK_FALSE(asks("dport"));
  REQUIRE(steering.stop());
  CHECK_FALSE(asks("return"));
}

TEST_CASE("a port by which signalling may be known goes with its last endpoint, unless it is configured") {
  World world(Firewall::none);
  Steering steering(full_options());
  const auto knows = [&](const char* port) { return lists(world, "set inet sipalg signalling_ports", port); };
  const auto with = [](const char* endpoint) {
    SteeringChange change;
    change.add_endpoints = {{Protocol::udp, ep(endpoint)}};
    return change;
  };
  const SteeringChange first = with("203.0.113.1:5080"), second = with("[fd00::2]:5080"), configured = with("10.0.0.2:5060");
  CHECK(knows("5060"));
  for (const SteeringChange* change : {&first, &second, &configured, &first}) REQUIRE(steering.apply(*change));
  CHECK(knows("5080"));
  SteeringChange swap = first.undo(); // the last of one, the first of another in one transaction
  swap.add_endpoints = {{Protocol::tcp, ep("10.0.0.2:5090")}};
  REQUIRE(steering.apply(first.undo()));
  REQUIRE(steering.apply(swap));
  CHECK(knows("5080"));
  CHECK(knows("5090"));
  REQUIRE(steering.set_ports({}, {}));
  CHECK(knows("5060")); // an endpoint's
  CHECK(knows("5080"));
  REQUIRE(steering.apply(configured.undo()));
  CHECK_FALSE(knows("5060"));
  REQUIRE(steering.set_ports({5080}, {}));
  REQUIRE(steering.apply(second.undo()));
  CHECK(knows("5080")); // configured
  REQUIRE(steering.set_ports({}, {}));
  CHECK_FALSE(knows("5080"));
  CHECK(knows("5090"));
}

TEST_CASE("networks and ports change at once") {
  World world(Firewall::none);
  Steering steering(full_options());
  CHECK(lists(world, "set inet sipalg inside4", "10.0.0.0/16"));
  REQUIRE(steering.set_inside({*parse_network("192.168.0.0/24"), *parse_network("192.168.1.0/24")}));
  CHECK(lists(world, "set inet sipalg inside4", "192.168.0.0/23"));
  CHECK_FALSE(lists(world, "set inet sipalg inside4", "10.0"));
  REQUIRE(steering.set_peers({}));
  CHECK_FALSE(lists(world, "set inet sipalg peers4", "elements"));
  REQUIRE(steering.set_ports({5060, 5080}, {5061}));
  CHECK(lists(world, "set inet sipalg ports_udp", "5080"));
  CHECK(lists(world, "set inet sipalg ports_tcp", "5061"));
  CHECK_FALSE(steering.has_flowtables());
}

TEST_CASE("ports come and go one by one, down to none, and TCP's later than the table") {
  World world(Firewall::none);
  SteeringOptions options = full_options();
  options.tcp_ports.clear();
  Steering steering(options);
  CHECK_FALSE(lists(world, "set inet sipalg ports_tcp", "elements"));
  CHECK(lists(world, "chain inet sipalg match_tcp4", "take_tcp4"));
  REQUIRE(steering.set_ports({}, {5062}));
  CHECK_FALSE(lists(world, "set inet sipalg ports_udp", "elements"));
  CHECK(lists(world, "set inet sipalg ports_tcp", "5062"));
  REQUIRE(steering.set_ports({5060, 65535}, {}));
  CHECK(lists(world, "set inet sipalg ports_udp", "65535"));
  SteeringChange change;
  change.add_endpoints = {{Protocol::udp, ep("203.0.113.1:5080")}, {Protocol::tcp, ep("203.0.113.1:5080")},
                          {Protocol::udp, ep("[2001:db8::1]:5080")}};
  REQUIRE(steering.apply(change));
  REQUIRE(steering.apply(change)); // one more owner, no more endpoints
  CHECK(steering.endpoint_count(Protocol::udp) == 2);
  CHECK(steering.endpoint_count(Protocol::tcp) == 1);
  REQUIRE(steering.set_ports({5070}, {}));
  CHECK(lists(world, "set inet sipalg endpoints_udp4", "203.0.113.1 . 5080"));
}

TEST_CASE("without TCP its packets are not looked at, and its ports are refused") {
  World world(Firewall::none);
  SteeringOptions options = full_options();
  options.tcp = false;
  options.tcp_ports.clear();
  Steering steering(options);
  CHECK_FALSE(lists(world, "chain inet sipalg match_tcp4", "take_tcp4"));
  CHECK_FALSE(steering.set_ports({5060}, {5060}));
  CHECK(steering.options().tcp_ports.empty());
}

// Kernels without nft's queue statement can load only the rest: there the queue rules become counters.
TEST_CASE("ports that somebody else's set lacks are told, and whether there is such a table") {
  World world(Firewall::none);
  Steering steering(full_options());
  const std::array<uint16_t, 3> ports{5060, 5070, 65535};
  const auto missing = [&] { return steering.find_missing_ports("zones", "ports", ports); };
  CHECK(missing().error() == std::errc::no_such_file_or_directory);
  world.run(Side::router, "nft add table inet zones");
  CHECK(missing() == std::vector<uint16_t>{5060, 5070, 65535});
  world.run(Side::router, "nft add set inet zones ports \"{ type inet_service; elements = { 5060, 65535 }; }\"");
  CHECK(missing() == std::vector<uint16_t>{5070});
  world.run(Side::router, "nft add element inet zones ports { 5070 }");
  CHECK(missing() == std::vector<uint16_t>{});
  CHECK(steering.find_missing_ports("zones", "ports", {}) == std::vector<uint16_t>{});
}

TEST_CASE("the printed ruleset loads with nft") {
  const bool manual = GENERATE(false, true), births = GENERATE(false, true), ports = GENERATE(true, false);
  World world(Firewall::none);
  SteeringOptions options = full_options();
  options.manual = manual;
  options.births = births;
  if (!ports) options.udp_ports.clear(), options.tcp_ports.clear(); // service off
  std::string text = ruleset_text(options);
  const bool has_queue = world
                             .run(Side::router, "nft \"add table inet q; add chain inet q c; "
                                                "add rule inet q c queue flags bypass to 1\"")
                             .empty();
  const auto count = [&](const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
    return found;
  };
  // connections with edits are not guarded there: without us none of their segments may pass
  CHECK((count(" queue to ") > 0) == (manual && ports));
  CHECK(count(" queue to ") == (manual ? count("queue flags bypass to ") : 0));
  for (const std::string way : {"queue flags bypass to ", "queue to "})
    for (std::size_t at = 0; !has_queue && (at = text.find(way, at)) != std::string::npos;)
      text.replace(at, text.find('\n', at) - at, "counter");
  const std::string file = "/tmp/sipalg-ruleset-" + std::to_string(getpid());
  std::ofstream(file) << text;
  CHECK(world.run(Side::router, "nft -f " + file) == "");
  unlink(file.c_str());
}
