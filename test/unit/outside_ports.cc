// SPDX-License-Identifier: GPL-2.0-or-later
// Who holds an outside endpoint, and which shard a host belongs to.
#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "alg/base/shard.h"
#include "alg/doors/outside_ports.h"

using namespace sipalg;

TEST_CASE("an endpoint is its first taker's until it is given away") {
  OutsidePorts ports;
  const Endpoint a = *parse_endpoint("203.0.113.1:5060"), b = *parse_endpoint("[2001:db8::1]:5060");
  CHECK(ports.holder(Protocol::udp, a) == OutsidePorts::nobody);
  CHECK(ports.take(Protocol::udp, a, OutsidePorts::of(0)) == OutsidePorts::of(0));
  CHECK(ports.take(Protocol::udp, a, OutsidePorts::of(1)) == OutsidePorts::of(0));
  CHECK(ports.take(Protocol::tcp, a, OutsidePorts::of(1)) == OutsidePorts::of(1));
  CHECK(ports.take(Protocol::udp, b, OutsidePorts::of(2)) == OutsidePorts::of(2));
  ports.give(Protocol::udp, a, OutsidePorts::of(3), OutsidePorts::of(2));  // it is not his
  CHECK(ports.holder(Protocol::udp, a) == OutsidePorts::of(0));
  ports.give(Protocol::udp, a, OutsidePorts::of(0), OutsidePorts::of(2));
  CHECK(ports.take(Protocol::udp, a, OutsidePorts::of(0)) == OutsidePorts::of(2));
  ports.share(Protocol::udp, a);
  CHECK(ports.take(Protocol::udp, a, OutsidePorts::of(0)) == OutsidePorts::several);
  CHECK(ports.holder(Protocol::udp, {a.address, 5061}) == OutsidePorts::nobody);
}

TEST_CASE("a host is noted by his address alone") {
  OutsidePorts ports;
  const Address host = *parse_address("2001:db8::7");
  CHECK_FALSE(ports.is_noted_host(host));
  ports.note_host(host);
  ports.note_host(host);
  CHECK(ports.is_noted_host(host));
  CHECK_FALSE(ports.is_noted_host(*parse_address("2001:db8::8")));
}

TEST_CASE("of too many addresses every port is several parts'") {
  OutsidePorts ports;
  for (int i = 0; i < 5000; ++i)
    ports.take(Protocol::udp, {*parse_address("198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250)), 5060}, OutsidePorts::of(1));
  CHECK(ports.holder(Protocol::udp, *parse_endpoint("198.18.0.0:5060")) == OutsidePorts::of(1));
  CHECK(ports.holder(Protocol::udp, *parse_endpoint("198.18.0.0:5061")) == OutsidePorts::nobody);
  CHECK(ports.holder(Protocol::udp, *parse_endpoint("198.18.19.200:5060")) == OutsidePorts::several);
  CHECK(ports.take(Protocol::udp, *parse_endpoint("198.18.19.200:5061"), OutsidePorts::of(2)) == OutsidePorts::several);
}

TEST_CASE("of two that want the same ports at once each port gets one") {
  OutsidePorts ports;
  const Address outside = *parse_address("203.0.113.1");
  std::array<std::set<uint16_t>, 2> got;
  std::vector<std::thread> takers;
  for (uint32_t who : {0U, 1U})
    takers.emplace_back([&, who] {
      for (uint32_t port = 1024; port < 9000; ++port)
        if (const Endpoint place{outside, static_cast<uint16_t>(port)}; ports.take(Protocol::udp, place, OutsidePorts::of(who)) == OutsidePorts::of(who))
          got[who].insert(place.port);
    });
  for (std::thread& taker : takers) taker.join();
  CHECK(got[0].size() + got[1].size() == 9000 - 1024);
}

// The kernel's own values are compared by test/conntrack/workers_test.cc.
TEST_CASE("hosts are spread evenly, and one shard has all") {
  std::array<int, 4> count{};
  for (int i = 0; i < 256; ++i) {
    const Address host = *parse_address("10.1.2." + std::to_string(i));
    CHECK(shard_of(host, 1) == 0);
    ++count.at(shard_of(host, 4));
  }
  for (int n : count) CHECK((n > 32 && n < 96));
  CHECK(shard_of(Address{}, 4) == 0);
}
