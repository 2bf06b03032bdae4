// SPDX-License-Identifier: GPL-2.0-or-later
// Queue, steering and flow lookup together: real packets, real conntracks.
#include <catch2/catch.hpp>
#include <chrono>
#include <list>
#include <set>
#include <sys/resource.h>

#include "alg/packet/datagram.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/links.h"
#include "conntrack/queue.h"
#include "conntrack/steering.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

std::string describe(const std::expected<Flow, FlowError>& flow) {
  if (!flow) return std::string(name_of(flow.error()));
  const auto end = [](const FlowEnd& e) {
    return e.is_translated() ? to_string(e.inside) + "=" + to_string(e.outside) : to_string(e.inside);
  };
  return end(flow->sender) + " > " + end(flow->receiver) + (flow->zone ? " zone " + std::to_string(flow->zone) : "");
}

// A router whose queue reader notes each packet's flow and accepts.
struct Reader {
  World world;
  Queue queue{QueueOptions{}};
  SteeringOptions options;
  std::optional<Steering> steering;
  Ctnetlink conntrack;
  std::optional<Births> births;
  std::optional<FlowLookup> lookup;
  std::vector<std::string> seen;
  Instant now{1h};
  std::function<void(const QueuedPacket&, const DatagramView&, PendingVerdict)> on_packet;

  explicit Reader(Firewall firewall = Firewall::none, bool translate = true) : world(firewall, translate) {
    options.births = !queue.has_conntrack();
    options.inside = {*parse_network("10.0.0.0/24"), *parse_network("fd00::/64")};
    steering.emplace(options);
    if (options.births) births.emplace(options.table);
    lookup.emplace(conntrack, births ? &*births : nullptr);
    world.pump = [this] { queue.receive([this](const QueuedPacket& p, PendingVerdict v) { take(p, std::move(v)); }); };
  }
  void take(const QueuedPacket& packet, PendingVerdict verdict) {
    const auto view = view_datagram(packet.bytes);
    REQUIRE(view);
    seen.push_back(describe(lookup->find(packet, *view, now)));
    if (on_packet) on_packet(packet, *view, std::move(verdict));
  }
  std::string hears(const UdpSocket& listener, const UdpSocket& speaker, const Endpoint& to,
                    const char* text = "hello") {
    speaker.send(text, to);
    return test::describe(world.receive(listener));
  }
  std::string hears(const UdpSocket& listener, const UdpSocket& speaker, const char* to) {
    return hears(listener, speaker, ep(to));
  }
};

} // namespace

TEST_CASE("masquerade: first packet, second, and the answer") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  for (int i = 0; i < 2; ++i) CHECK(r.hears(remote, phone, "203.0.113.2:5060") == "hello from 203.0.113.1:5060");
  for (int i = 0; i < 2; ++i) CHECK(r.hears(phone, remote, "203.0.113.1:5060") == "hello from 203.0.113.2:5060");
  const std::string out = "10.0.0.2:5060=203.0.113.1:5060 > 203.0.113.2:5060";
  const std::string in = "203.0.113.2:5060 > 10.0.0.2:5060=203.0.113.1:5060";
  CHECK(r.seen == std::vector{out, out, in, in});
}

TEST_CASE("a remapped port: the second phone's :5060 leaves from another, and its packets are still seen") {
  Reader r;
  const auto first = r.world.udp(Side::inside, "10.0.0.2:5060"), second = r.world.udp(Side::inside, "10.0.0.3:5060");
  const auto remote = r.world.udp(Side::outside, "203.0.113.2:5080");
  CHECK(r.hears(remote, first, "203.0.113.2:5080") == "hello from 203.0.113.1:5060");
  second.send("hello", ep("203.0.113.2:5080"));
  const auto got = r.world.receive(remote);
  REQUIRE(got);
  CHECK(got->from.port != 5060);
  CHECK(r.hears(second, remote, got->from) == "hello from 203.0.113.2:5080");
  REQUIRE(r.seen.size() == 3);
  CHECK(r.seen[1] == "10.0.0.3:5060=" + to_string(got->from) + " > 203.0.113.2:5080");
  CHECK(r.seen[2] == "203.0.113.2:5080 > 10.0.0.3:5060=" + to_string(got->from));
}

TEST_CASE("an administrator's DNAT: the responder is inside") {
  Reader r;
  r.world.run(Side::router, "nft \"add table ip d; add chain ip d pre { type nat hook prerouting priority -100; }; "
                            "add rule ip d pre udp dport 5060 dnat to 10.0.0.2:5070\"");
  const auto pbx = r.world.udp(Side::inside, "10.0.0.2:5070"), remote = r.world.udp(Side::outside, "203.0.113.2:7000");
  CHECK(r.hears(pbx, remote, "203.0.113.1:5060") == "hello from 203.0.113.2:7000");
  CHECK(r.hears(remote, pbx, "203.0.113.2:7000") == "hello from 203.0.113.1:5060");
  CHECK(r.seen == std::vector<std::string>{"203.0.113.2:7000 > 10.0.0.2:5070=203.0.113.1:5060",
                                           "10.0.0.2:5070=203.0.113.1:5060 > 203.0.113.2:7000"});
}

TEST_CASE("IPv6, with and without translation") {
  const bool translate = GENERATE(true, false);
  Reader r(Firewall::none, translate);
  const auto phone = r.world.udp(Side::inside, "[fd00::2]:5060"),
             remote = r.world.udp(Side::outside, "[2001:db8::2]:5060");
  const Endpoint ours = ep(translate ? "[2001:db8::1]:5060" : "[fd00::2]:5060");
  CHECK(r.hears(remote, phone, "[2001:db8::2]:5060") == "hello from " + to_string(ours));
  CHECK(r.hears(remote, phone, "[2001:db8::2]:5060") == "hello from " + to_string(ours));
  CHECK(r.hears(phone, remote, ours) == "hello from [2001:db8::2]:5060");
  const std::string inside = translate ? "[fd00::2]:5060=[2001:db8::1]:5060" : "[fd00::2]:5060";
  CHECK(r.seen == std::vector<std::string>{inside + " > [2001:db8::2]:5060", inside + " > [2001:db8::2]:5060",
                                           "[2001:db8::2]:5060 > " + inside});
}

TEST_CASE("the same header from another host after conntrack -D never shows the old flow") {
  Reader r;
  const auto first = r.world.udp(Side::inside, "10.0.0.2:5060"), second = r.world.udp(Side::inside, "10.0.0.3:5060");
  const auto remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  for (const auto* phone : {&first, &second, &first, &second}) {
    for (int i = 0; i < 2; ++i) CHECK(r.hears(remote, *phone, "203.0.113.2:5060") == "hello from 203.0.113.1:5060");
    CHECK(r.hears(*phone, remote, "203.0.113.1:5060") == "hello from 203.0.113.2:5060");
    const std::string name = phone == &first ? "10.0.0.2:5060" : "10.0.0.3:5060";
    CHECK(r.seen == std::vector<std::string>{name + "=203.0.113.1:5060 > 203.0.113.2:5060",
                                             name + "=203.0.113.1:5060 > 203.0.113.2:5060",
                                             "203.0.113.2:5060 > " + name + "=203.0.113.1:5060"});
    r.seen.clear();
    r.world.run(Side::router, "conntrack -D -p udp --orig-port-dst 5060");
    r.world.idle(250ms);
  }
}

TEST_CASE("an endpoint of the steering sets comes to the queue in both directions, until it is removed") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:6000"),
             remote = r.world.udp(Side::outside, "203.0.113.2:7000");
  SteeringChange change;
  change.add_endpoints = {{Protocol::udp, ep("10.0.0.2:6000")}};
  REQUIRE(r.steering->apply(change));
  CHECK(r.hears(remote, phone, "203.0.113.2:7000") == "hello from 203.0.113.1:6000");
  CHECK(r.hears(phone, remote, "203.0.113.1:6000") == "hello from 203.0.113.2:7000");
  CHECK(r.seen.size() == 2);
  REQUIRE(r.steering->apply(change.undo()));
  CHECK(r.hears(phone, remote, "203.0.113.1:6000") == "hello from 203.0.113.2:7000");
  CHECK(r.seen.size() == 2);
  REQUIRE(r.steering->set_ports({7000}, {}));
  CHECK(r.hears(phone, remote, "203.0.113.1:6000") == "hello from 203.0.113.2:7000");
  CHECK(r.seen.size() == 3);
}

TEST_CASE("zones: a flow outside zone 0 is found, by its zone from then on") {
  Reader r;
  r.world.run(Side::router,
              "nft \"add table inet z; add chain inet z pre { type filter hook prerouting priority -300; }; "
              "add rule inet z pre ct zone set 7\"");
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  CHECK(r.hears(remote, phone, "203.0.113.2:5060") == "hello from 203.0.113.1:5060");
  r.now += 1min;
  CHECK(r.hears(remote, phone, "203.0.113.2:5060") == "hello from 203.0.113.1:5060");
  const std::string flow = "10.0.0.2:5060=203.0.113.1:5060 > 203.0.113.2:5060 zone 7";
  CHECK(r.seen == std::vector{flow, flow});
}

TEST_CASE("signalling flows get their own timeout") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  const auto pbx = r.world.udp(Side::inside, "10.0.0.3:5060"), scanner = r.world.udp(Side::outside, "203.0.113.3:9");
  CHECK(r.hears(remote, phone, "203.0.113.2:5060") != "nothing");
  CHECK(r.hears(phone, remote, "203.0.113.1:5060") != "nothing");
  CHECK(r.hears(pbx, scanner, "10.0.0.3:5060") != "nothing");
  std::map<std::string, std::chrono::seconds> timeouts;
  REQUIRE(r.conntrack.dump_flows({Family::v4, Protocol::udp, {}, {}, {}, 0, 0}, [&](const ConntrackEntry& e) {
    timeouts[to_string(e.original.source.address)] = e.timeout.value();
  }));
  CHECK(timeouts["10.0.0.2"] > 3700s);
  CHECK(timeouts["203.0.113.3"] > 50s);
  CHECK(timeouts["203.0.113.3"] <= 60s);
}

TEST_CASE("verdicts: other bytes, a drop, and one that is held while others go") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  std::list<PendingVerdict> held;
  r.on_packet = [&](const QueuedPacket&, const DatagramView& view, PendingVerdict verdict) {
    if (view.payload() == "edit") {
      std::vector<uint8_t> other;
      replace_payload(view, "edited text", false, other);
      verdict.accept(other);
    } else if (view.payload() == "drop") {
      verdict.drop();
    } else if (view.payload() == "hold") {
      held.push_back(std::move(verdict));
    }
  };
  CHECK(r.hears(remote, phone, ep("203.0.113.2:5060"), "edit") == "edited text from 203.0.113.1:5060");
  CHECK(r.hears(remote, phone, ep("203.0.113.2:5060"), "drop") == "nothing");
  CHECK(r.hears(remote, phone, ep("203.0.113.2:5060"), "hold") == "nothing");
  CHECK(r.hears(remote, phone, ep("203.0.113.2:5060"), "pass") == "pass from 203.0.113.1:5060");
  CHECK(r.hears(phone, remote, ep("203.0.113.1:5060"), "back") == "back from 203.0.113.2:5060");
  held.clear();
  r.queue.flush();
  CHECK(test::describe(r.world.receive(remote)) == "hold from 203.0.113.1:5060");
  CHECK(r.queue.counters().refused_verdicts == 0);
}

TEST_CASE("verdicts: one that was held gets its own, though later ones are accepted with it") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  std::list<PendingVerdict> held;
  std::vector<uint8_t> other;
  r.on_packet = [&](const QueuedPacket&, const DatagramView& view, PendingVerdict verdict) {
    if (view.payload() == "hold") {
      replace_payload(view, "edited text", false, other);
      held.push_back(std::move(verdict));
    }
    if (view.payload() == "edit it") held.front().accept(other);
    if (view.payload() == "drop it") held.front().drop();
  };
  CHECK(r.hears(remote, phone, ep("203.0.113.2:5060"), "first") == "first from 203.0.113.1:5060");
  const auto after_hold = [&](const char* text) {
    for (const char* each : {"hold", "pass", text}) phone.send(each, ep("203.0.113.2:5060"));
    std::string heard;
    while (const auto got = r.world.receive(remote)) heard += test::describe(got) + ", ";
    held.clear();
    return heard;
  };
  const std::string from = " from 203.0.113.1:5060, ";
  CHECK(after_hold("edit it") == "pass" + from + "edited text" + from + "edit it" + from);
  CHECK(after_hold("drop it") == "pass" + from + "drop it" + from);
  CHECK(r.queue.counters().refused_verdicts == 0);
}

TEST_CASE("a burst: every packet arrives once and in order, whatever was held or edited") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  r.on_packet = [&](const QueuedPacket& packet, const DatagramView& view, PendingVerdict verdict) {
    std::vector<uint8_t> same(packet.bytes.begin(), packet.bytes.end());
    if (view.payload().back() == '3') verdict.accept(same);
  };
  for (int i = 0; i < 150; ++i) phone.send("packet " + std::to_string(i), ep("203.0.113.2:5060"));
  for (int i = 0; i < 150; ++i)
    REQUIRE(test::describe(r.world.receive(remote)) == "packet " + std::to_string(i) + " from 203.0.113.1:5060");
  CHECK(r.queue.counters().packets == 150);
  CHECK(std::set<std::string>(r.seen.begin(), r.seen.end()).size() == 1);
  CHECK(r.seen.back() == "10.0.0.2:5060=203.0.113.1:5060 > 203.0.113.2:5060");
}

TEST_CASE("without a reader packets pass (bypass), and a queue has one reader") {
  World world(Firewall::none);
  SteeringOptions options;
  options.births = true;
  const auto phone = world.udp(Side::inside, "10.0.0.2:5060"), remote = world.udp(Side::outside, "203.0.113.2:5060");
  const Steering steering(options);
  phone.send("hello", ep("203.0.113.2:5060"));
  CHECK(test::describe(world.receive(remote)) == "hello from 203.0.113.1:5060");
  const Queue queue{QueueOptions{}};
  CHECK_THROWS_AS(Queue(QueueOptions{}), std::system_error);
}

TEST_CASE("shutdown: what the kernel still holds is answered") {
  Reader r;
  const auto phone = r.world.udp(Side::inside, "10.0.0.2:5060"),
             remote = r.world.udp(Side::outside, "203.0.113.2:5060");
  for (int i = 0; i < 20; ++i) phone.send("hello", ep("203.0.113.2:5060"));
  REQUIRE(r.steering->stop());
  r.queue.drain([](const QueuedPacket&, PendingVerdict) {});
  r.world.pump = nullptr;
  for (int i = 0; i < 20; ++i) REQUIRE(r.world.receive(remote));
}

TEST_CASE("links: own addresses, what lies behind, MTUs, and changes") {
  World world(Firewall::none);
  Links links;
  CHECK(links.is_own(*parse_address("203.0.113.1")));
  CHECK(links.is_own(*parse_address("fd00::1")));
  CHECK_FALSE(links.is_own(*parse_address("10.0.0.2")));
  const auto inside = [&] {
    std::string text;
    for (const auto& network : links.inside_networks()) text += to_string(network) + " ";
    return text;
  };
  CHECK(inside() == "10.0.0.0/24 fd00::/64 ");
  CHECK_FALSE(links.on_events());
  world.run(Side::router, "ip route add 192.168.7.0/24 via 10.0.0.2; ip link set lan0 mtu 1400");
  CHECK(links.on_events());
  CHECK(inside() == "10.0.0.0/24 192.168.7.0/24 fd00::/64 ");
  uint32_t lan = 0;
  for (uint32_t i = 1; i < 10; ++i)
    if (links.interfaces().mtu(i) == 1400) lan = i;
  CHECK(lan != 0);
  CHECK(links.interfaces().mtu(999) == 1500);
  world.run(Side::router, "ip route add default via 10.0.0.2 dev lan0 metric 500");
  CHECK(links.on_events());
  CHECK(inside().empty());
}

TEST_CASE("links: what is foreign on an uplink in use, by metric, table and family, and what is idle") {
  World world(Firewall::none);
  world.run(Side::router, "ip route replace default via 203.0.113.2");
  Links links;
  const auto number = [&](const std::string& name) {
    return static_cast<uint32_t>(std::stoul(world.run(Side::router, "cat /sys/class/net/" + name + "/ifindex")));
  };
  const auto changed = [&](const std::string& commands) { world.run(Side::router, commands), links.on_events(); };
  changed("ip link add wan1 type veth peer name far1; ip addr add 198.51.100.1/24 dev wan1; ip link set wan1 up; ip link set far1 up");
  const uint32_t first = number("wan0"), second = number("wan1"), lan = number("lan0");
  const Address one = *parse_address("203.0.113.1"), two = *parse_address("198.51.100.1");
  const auto foreign = [&](uint32_t interface, const Address& source) { return links.interfaces().is_foreign(interface, source); };
  CHECK_FALSE(foreign(first, two));  // it never was an uplink
  changed("ip route add default via 198.51.100.2 dev wan1 metric 500");
  CHECK(foreign(first, two));
  CHECK_FALSE(foreign(second, one));
  CHECK_FALSE(foreign(first, one));
  changed("ip route del default via 203.0.113.2");
  CHECK(foreign(second, one));
  CHECK_FALSE(foreign(first, two));
  CHECK_FALSE(foreign(lan, one));
  CHECK_FALSE(foreign(second, *parse_address("10.0.0.1")));  // nor that one
  changed("ip addr add 203.0.113.1/32 dev wan1");
  CHECK_FALSE(foreign(second, one));
  changed("ip addr del 203.0.113.1/32 dev wan1; ip route add default via 203.0.113.2 table 100");
  CHECK_FALSE(foreign(second, one));  // both in use
  changed("ip route flush table 100");
  CHECK(foreign(second, one));
  changed("ip route replace default nexthop via 203.0.113.2 dev wan0 nexthop via 198.51.100.2 dev wan1; ip route del default metric 500");
  CHECK_FALSE(foreign(second, one));
  CHECK_FALSE(foreign(first, two));
  changed("ip link del wan1");
  CHECK_FALSE(foreign(first, two));
}
