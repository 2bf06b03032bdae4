// SPDX-License-Identifier: GPL-2.0-or-later
// Resized TCP connections: no segment passes the daemon by.
#include <catch2/catch.hpp>
#include <cstring>
#include <sys/socket.h>

#include "conntrack/queue.h"
#include "conntrack/stream_guard.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

// A daemon that accepts every packet and counts those that carry data.
struct Daemon {
  static constexpr std::size_t headers = 20 + 20 + 12;  // IPv4, TCP, timestamps
  Queue queue{QueueOptions{.tcp = true}};
  Steering steering;
  StreamGuard guard{steering};
  int segments = 0;

  Daemon() : steering(options(queue)) {}
  static SteeringOptions options(const Queue& queue) {
    SteeringOptions options;
    options.tcp = true;
    options.tcp_ports = {5060};
    options.births = !queue.has_conntrack();
    return options;
  }
  void take() {
    queue.receive([this](const QueuedPacket& packet, PendingVerdict) { segments += packet.bytes.size() > headers; });
  }
};

// A connection from the phone to the provider; who answers the queue changes.
struct Router {
  World world{Firewall::none};
  std::optional<Daemon> daemon{std::in_place};
  TcpPair pair;
  Tuple original{Protocol::tcp, ep("10.0.0.2:40000"), ep("203.0.113.2:5060")};

  Router() {
    world.pump = [this] {
      if (daemon) daemon->take();
    };
    auto made = world.connect(Side::outside, "203.0.113.2:5060", Side::inside, "10.0.0.2:40000", "203.0.113.2:5060");
    REQUIRE(made);
    pair = std::move(*made);
    daemon->segments = 0;  // SYN carries more options
  }
  std::string sent(const Fd& from, const Fd& to, const char* text, std::chrono::milliseconds patience = 300ms) {
    ::send(from.get(), text, std::strlen(text), MSG_NOSIGNAL);
    return world.read(to, patience);
  }
  int seconds_left() const {  // of the lease
    const std::string text = nft();
    const auto at = text.find("timeout 1m expires ");
    REQUIRE(at != std::string::npos);
    return std::atoi(text.c_str() + at + std::strlen("timeout 1m expires "));
  }
  std::string nft() const { return world.run(Side::router, "nft list table inet sipalg_streams 2>&1"); }
};

} // namespace

TEST_CASE("guard: a connection's segments come to the queue once, guarded or not, in both directions") {
  Router r;
  CHECK(r.sent(r.pair.client, r.pair.server, "before the guard") == "before the guard");
  CHECK(r.daemon->segments == 1);
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  CHECK(r.daemon->guard.size() == 1);
  CHECK(r.sent(r.pair.client, r.pair.server, "along the guard") == "along the guard");
  CHECK(r.sent(r.pair.server, r.pair.client, "and its way back") == "and its way back");
  CHECK(r.daemon->segments == 3);
  REQUIRE(r.daemon->guard.remove({&r.original, 1}));
  CHECK(r.sent(r.pair.client, r.pair.server, "without it again") == "without it again");
  CHECK(r.daemon->segments == 4);
  r.daemon->guard.close();
  CHECK(r.nft().find("No such file") != std::string::npos);
}

TEST_CASE("guard: without a daemon nothing of the connection passes; the next daemon goes on with it") {
  Router r;
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  r.daemon->guard.close();  // still guards: stays
  r.daemon.reset();
  CHECK(r.sent(r.pair.client, r.pair.server, "to be sent again by TCP") == "");
  r.daemon.emplace();
  CHECK(r.daemon->guard.are_held(std::vector{r.original, r.original.inverse()}) == std::vector{true, false});
  REQUIRE(r.daemon->guard.adopt({r.original}));
  CHECK(r.world.read(r.pair.server, 3s) == "to be sent again by TCP");
  CHECK(r.daemon->segments >= 1);
}

TEST_CASE("guard: a connection whose map nobody has is reset, another goes on") {
  Router r;
  auto other = r.world.connect(Side::outside, "203.0.113.2:5061", Side::inside, "10.0.0.2:40001", "203.0.113.2:5061");
  REQUIRE(other);
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  r.daemon.reset();
  r.daemon.emplace();
  REQUIRE(r.daemon->guard.adopt({}));
  CHECK(r.sent(other->client, other->server, "unguarded") == "unguarded");
  CHECK(r.sent(r.pair.client, r.pair.server, "lost") == "");
  CHECK(r.world.read(r.pair.client) == "reset");
}

TEST_CASE("guard: the ends of a lost connection may begin anew with the same ports") {
  Router r;
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  r.daemon.reset();
  r.world.run(Side::router, "nft flush set inet sipalg_streams held4");  // what time does
  CHECK(r.sent(r.pair.client, r.pair.server, "lost") == "");
  CHECK(r.world.read(r.pair.client) == "reset");
  r.sent(r.pair.server, r.pair.client, "lost");
  CHECK(r.world.read(r.pair.server) == "reset");
  r.pair.client = Fd();
  r.pair.server = Fd();
  const auto again = r.world.connect(Side::outside, "203.0.113.2:5060", Side::inside, "10.0.0.2:40000", "203.0.113.2:5060");
  REQUIRE(again);
  CHECK(r.sent(again->client, again->server, "anew") == "anew");
  CHECK(r.sent(again->server, again->client, "and back") == "and back");
}

TEST_CASE("guard: a connection that is given up is reset, also beside a living daemon") {
  Router r;
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  REQUIRE(r.daemon->guard.abandon({&r.original, 1}));
  CHECK(r.daemon->guard.size() == 0);
  CHECK(r.sent(r.pair.client, r.pair.server, "lost") == "");
  CHECK(r.world.read(r.pair.client) == "reset");
}

TEST_CASE("guard: thousands of connections are taken over and renewed") {
  Router r;
  std::vector<Tuple> many{r.original};
  for (uint16_t port = 1024; port < 21'024; ++port) many.push_back({Protocol::tcp, {ep("10.0.0.3:1").address, port}, r.original.destination});
  REQUIRE(r.daemon->guard.adopt(many));
  CHECK(r.daemon->guard.size() == many.size());
  r.world.idle(1500ms);
  const int before = r.seconds_left();
  for (int second = 0; second < 25; ++second) REQUIRE(r.daemon->guard.renew(Instant{1h} + std::chrono::seconds{second}));
  CHECK(r.seconds_left() > before);
  CHECK(r.sent(r.pair.client, r.pair.server, "along the guard") == "along the guard");
  for (const Tuple& one : many) REQUIRE(r.daemon->guard.remove({&one, 1}));
}

TEST_CASE("guard: a flushed ruleset does not open the way") {
  Router r;
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  r.world.run(Side::router, "nft flush ruleset");
  REQUIRE(r.daemon->guard.renew(Instant{1h}));  // where the kernel can not protect the table
  CHECK(r.nft().find("10.0.0.2 . 40000") != std::string::npos);
  CHECK(r.sent(r.pair.client, r.pair.server, "behind it") == "behind it");
  CHECK(r.daemon->segments == 1);
  r.daemon.reset();
  CHECK(r.sent(r.pair.client, r.pair.server, "without a daemon") == "");
}

TEST_CASE("guard: a lease that is over is no reason to fail") {
  Router r;
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  REQUIRE(StreamGuard(r.daemon->steering).adopt({}));  // empties @held, as time does
  SECTION("it is renewed") {
    REQUIRE(r.daemon->guard.renew(Instant{1h}));
    CHECK(r.sent(r.pair.client, r.pair.server, "along the guard") == "along the guard");
  }
  SECTION("it is removed") {
    REQUIRE(r.daemon->guard.remove({&r.original, 1}));
    CHECK(r.sent(r.pair.client, r.pair.server, "the next of these ends") == "the next of these ends");
  }
  CHECK(r.daemon->segments == 1);
}

TEST_CASE("guard: beside an administrator's rules there is no table and no lease, every connection goes on") {
  World world{Firewall::none};
  SteeringOptions options;
  options.manual = options.tcp = true;
  options.tcp_ports = {5060};
  Steering steering(options);
  StreamGuard guard(steering);
  const std::vector<Tuple> connections{{Protocol::tcp, ep("10.0.0.2:40000"), ep("203.0.113.2:5060")},
                                       {Protocol::tcp, ep("10.0.0.3:40000"), ep("203.0.113.2:5060")}};
  CHECK(guard.are_held(connections) == std::vector{true, true});
  REQUIRE(guard.adopt(connections));
  REQUIRE(guard.add(connections));
  REQUIRE(guard.renew(Instant{1h}));
  REQUIRE(guard.remove(connections));
  CHECK(world.run(Side::router, "nft list tables").find("_streams") == std::string::npos);
}

TEST_CASE("guard: leases are renewed in time") {
  Router r;
  REQUIRE(r.daemon->guard.add({&r.original, 1}));
  r.world.idle(1500ms);
  const int before = r.seconds_left();
  CHECK(before < 59);
  REQUIRE(r.daemon->guard.renew(Instant{1h}));
  CHECK(r.seconds_left() > before);
}

TEST_CASE("conntrack stops judging a connection on request") {
  Router r;
  Ctnetlink conntrack;
  CHECK(conntrack.set_liberal(r.original, 0, true));
  CHECK_FALSE(conntrack.set_liberal(r.original.inverse(), 7, true));
  CHECK(r.sent(r.pair.client, r.pair.server, "as before") == "as before");
}
