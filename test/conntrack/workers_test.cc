// SPDX-License-Identifier: GPL-2.0-or-later
// Packets of an inside host come to the worker that has its records, in the queue that is the worker's.
#include <catch2/catch.hpp>
#include <list>
#include <set>

#include "alg/base/shard.h"
#include "alg/packet/datagram.h"
#include "conntrack/births.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/queue.h"
#include "conntrack/ruleset.h"
#include "conntrack/steering.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

constexpr uint32_t workers = 5;

// A router whose workers note which of them saw the packets of which inside host.
struct Router {
  World world;
  std::list<Queue> queues;
  SteeringOptions options;
  std::optional<Steering> steering;
  Ctnetlink conntrack;
  std::optional<Births> births;
  std::list<FlowLookup> lookups;
  std::vector<std::pair<uint32_t, Address>> seen;

  explicit Router(bool translate) : world(Firewall::none, translate) {
    options.workers = workers;
    options.inside = {*parse_network("10.0.0.0/24"), *parse_network("fd00::/64")};
    for (uint32_t i = 0; i < workers; ++i) {
      QueueOptions queue;
      queue.queue = ruleset::queue_of(options, Protocol::udp, i);
      queues.emplace_back(queue);
    }
    options.births = !queues.front().has_conntrack();
    steering.emplace(options);
    if (options.births) births.emplace(options.table);
    for (uint32_t i = 0; i < workers; ++i) lookups.emplace_back(conntrack, births ? &*births : nullptr);
    world.pump = [this] { read(); };
  }
  void read() {
    uint32_t worker = 0;
    auto lookup = lookups.begin();
    for (Queue& queue : queues) {
      queue.receive([&](const QueuedPacket& packet, PendingVerdict) {
        const auto view = view_datagram(packet.bytes);
        REQUIRE(view);
        const auto flow = lookup->find(packet, *view, Instant{std::chrono::hours{1}});
        REQUIRE(flow);
        const bool is_sender = Network{*parse_address("10.0.0.0"), 24}.contains(flow->sender.inside.address) ||
                               Network{*parse_address("fd00::"), 64}.contains(flow->sender.inside.address);
        seen.emplace_back(worker, (is_sender ? flow->sender : flow->receiver).inside.address);
      });
      ++worker, ++lookup;
    }
  }
};

} // namespace

TEST_CASE("each inside host has one worker, in both directions, whoever begins") {
  const bool translate = GENERATE(true, false);
  Router r(translate);
  r.world.run(Side::inside, "for i in $(seq 11 26); do ip addr add 10.0.0.$i/24 dev i0; done"); r.world.run(Side::router, "for i in $(seq 11 26); do ip neigh replace 10.0.0.$i lladdr 02:00:00:00:00:01 dev lan0 nud permanent; done");
  std::set<uint32_t> busy;
  const auto talk = [&](const std::string& inside, const std::string& outside) {
    const auto phone = r.world.udp(Side::inside, inside), remote = r.world.udp(Side::outside, outside);
    r.seen.clear();
    phone.send("one", ep(outside));
    const auto heard = r.world.receive(remote);
    REQUIRE(heard);
    for (int i = 0; i < 3; ++i) {
      remote.send("two", heard->from);
      REQUIRE(r.world.receive(phone));
      phone.send("three", ep(outside));
      REQUIRE(r.world.receive(remote));
    }
    CHECK(r.seen.size() == 7);
    const Address host = ep(inside).address;
    for (const auto& [worker, seen_host] : r.seen) {
      CHECK(seen_host == host);
      CHECK(worker == shard_of(host, workers));
      busy.insert(worker);
    }
  };
  for (int i = 11; i <= 26; ++i) talk("10.0.0." + std::to_string(i) + ":5060", "203.0.113.2:5060");
  talk("[fd00::2]:5060", "[2001:db8::2]:5060");
  talk("[fd00::3]:5060", "[2001:db8::2]:5060");
  CHECK(busy.size() > 2);
}

TEST_CASE("who is reached by a rule of the administrator's, or without NAT, has his worker, too") {
  const bool translate = GENERATE(true, false);
  Router r(translate);
  if (translate)
    r.world.run(Side::router, "nft \"add table ip d; add chain ip d pre { type nat hook prerouting priority -100; }; "
                              "add rule ip d pre udp dport 5060 dnat to 10.0.0.3:5070\"");
  const auto pbx = r.world.udp(Side::inside, "10.0.0.3:5070"), remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  for (int i = 0; i < 2; ++i) {
    remote.send("one", ep(translate ? "203.0.113.1:5060" : "10.0.0.3:5070"));
    REQUIRE(r.world.receive(pbx));
    pbx.send("two", ep("203.0.113.2:5060"));
    REQUIRE(r.world.receive(remote));
  }
  REQUIRE(r.seen.size() == 4);
  for (const auto& [worker, host] : r.seen) {
    CHECK(host == ep("10.0.0.3:0").address);
    CHECK(worker == shard_of(host, workers));
  }
}
