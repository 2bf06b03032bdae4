// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/doors/port_rest.h"

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "alg/base/limits.h"

using namespace sipalg;
using namespace std::chrono_literals;

namespace {

Endpoint ep(std::string_view text) { return *parse_endpoint(text); }
const Endpoint alice = ep("10.0.0.2:4000"), bob = ep("10.0.0.3:4000"), w1 = ep("203.0.113.1:4000"), w2 = ep("203.0.113.1:4002");

}  // namespace

TEST_CASE("a port rests for others, not for its own, and not for the other protocol") {
  PortRest rest;
  const Instant now{1h};
  rest.begin(Protocol::udp, w1, alice, now);
  CHECK(rest.is_resting(Protocol::udp, w1, bob, now));
  CHECK_FALSE(rest.is_resting(Protocol::udp, w1, alice, now));
  CHECK_FALSE(rest.is_resting(Protocol::tcp, w1, bob, now));
  CHECK_FALSE(rest.is_resting(Protocol::udp, w2, bob, now));
  CHECK(rest.last_of(Protocol::udp, alice, w1.address, now) == 4000);
  CHECK_FALSE(rest.last_of(Protocol::udp, bob, w1.address, now));
  CHECK_FALSE(rest.last_of(Protocol::tcp, alice, w1.address, now));
  CHECK_FALSE(rest.is_resting(Protocol::udp, w1, bob, now + limits::port_rest));
  CHECK_FALSE(rest.last_of(Protocol::udp, alice, w1.address, now + limits::port_rest));
}

TEST_CASE("of two ports that rest the later one is the last; a forgotten one rests no more") {
  PortRest rest;
  const Instant now{1h};
  rest.begin(Protocol::udp, w1, alice, now);
  rest.begin(Protocol::udp, w2, alice, now + 1s);
  CHECK(rest.last_of(Protocol::udp, alice, w1.address, now + 2s) == 4002);
  rest.forget(Protocol::udp, w2);
  CHECK(rest.last_of(Protocol::udp, alice, w1.address, now + 2s) == 4000);
  rest.begin(Protocol::udp, w1, bob, now + 3s);  // it was bob's since
  CHECK_FALSE(rest.last_of(Protocol::udp, alice, w1.address, now + 4s));
  CHECK(rest.is_resting(Protocol::udp, w1, alice, now + 4s));
}

TEST_CASE("what has rested goes by and by, ports that come and go take no room") {
  PortRest rest;
  Instant now{1h};
  for (uint16_t i = 0; i < 10'000; ++i) rest.begin(Protocol::udp, {w1.address, static_cast<uint16_t>(10'000 + i)}, alice, now);
  CHECK(rest.size() == 10'000);
  rest.tick(now + limits::port_rest - 1ms);
  CHECK(rest.size() == 10'000);
  now += limits::port_rest;
  for (int i = 0; i < 20; ++i) rest.tick(now);
  CHECK(rest.size() == 0);
  for (int i = 0; i < 100'000; ++i) rest.begin(Protocol::udp, w1, alice, now);
  CHECK(rest.size() == 1);
  CHECK(rest.is_resting(Protocol::udp, w1, bob, now));
}

TEST_CASE("whatever ports of whomever come and go, each rests as if it was alone") {
  struct Known {
    Endpoint inside;
    Instant until;
  };
  const std::array hosts{alice, bob, ep("10.0.0.2:4002"), ep("[fd00::2]:4000")};
  const std::array addresses{w1.address, ep("203.0.113.2:1").address, ep("[2001:db8::1]:1").address};
  PortRest rest;
  std::map<Endpoint, Known> model;
  Instant now{1h};
  std::mt19937 random(1);  // the same in every run
  const auto one_of = [&](const auto& all) { return all[random() % all.size()]; };
  for (int step = 0; step < 50'000; ++step) {
    const Endpoint outside{one_of(addresses), static_cast<uint16_t>(10'000 + 97 * (random() % 40))}, inside = one_of(hosts);
    switch (random() % 8) {
    case 0: rest.forget(Protocol::udp, outside), model.erase(outside); break;
    case 1: now += std::chrono::seconds{random() % 20}, rest.tick(now); break;
    case 2:
      if (random() % 500 == 0) now += limits::port_rest, rest.tick(now);  // all are gone
      break;
    default: rest.begin(Protocol::udp, outside, inside, now), model[outside] = {inside, now + limits::port_rest};
    }
    const auto known = model.find(outside);
    const bool rests = known != model.end() && known->second.until > now;
    REQUIRE(rest.is_resting(Protocol::udp, outside, inside, now) == (rests && known->second.inside != inside));
    Instant latest{};
    for (const auto& [port, other] : model)
      if (port.address == outside.address && other.inside == inside && other.until > now) latest = std::max(latest, other.until);
    const auto last = rest.last_of(Protocol::udp, inside, outside.address, now);
    REQUIRE(last.has_value() == (latest != Instant{}));
    if (last) REQUIRE(model.at({outside.address, *last}).until == latest);
    if (last) REQUIRE(model.at({outside.address, *last}).inside == inside);
  }
  REQUIRE(rest.size() <= 120);
}
