// SPDX-License-Identifier: GPL-2.0-or-later
// Anchors and expectations: what the keeper builds on.
#include <algorithm>
#include <catch2/catch.hpp>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <thread>

#include "conntrack/ctnetlink.h"
#include "test/conntrack/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

struct Kernel {
  Ctnetlink conntrack;
  Anchor anchor{1, Family::v4, 0};
  Kernel() {
    CHECK(run([&](NetlinkBatch& b) { put_anchor(b, anchor, 600s); }) == 0);
  }

  int run(const std::function<void(NetlinkBatch&)>& put) {
    NetlinkBatch batch;
    put(batch);
    return first_error(conntrack.socket().exchange(batch)).value();
  }
  int create(const Pinhole& pinhole) {
    return run([&](NetlinkBatch& b) { put_pinhole(b, anchor, pinhole); });
  }
  int create(const Anchor& under, const Pinhole& pinhole) {
    return run([&](NetlinkBatch& b) { put_pinhole(b, under, pinhole); });
  }
  int refresh(const Pinhole& pinhole, std::chrono::seconds lease) {
    return run([&](NetlinkBatch& b) { put_pinhole_refresh(b, anchor, pinhole, lease); });
  }
  std::vector<Expectation> list() {
    std::vector<Expectation> all;
    REQUIRE(conntrack.dump_expectations([&](const Expectation& e) { all.push_back(e); }));
    return all;
  }
};

Pinhole to(uint16_t port, const char* source = "") {
  Pinhole pinhole{Protocol::udp, {}, {*parse_address("203.0.113.1"), port}};
  if (*source != 0) pinhole.source = *parse_network(source);
  return pinhole;
}

} // namespace

TEST_CASE("EXCL tells: EEXIST something covers it, EBUSY it would cover something, different remotes fit") {
  World world(Firewall::none);
  Kernel k;
  CHECK(k.create(to(4000)) == 0);
  CHECK(k.create(to(4000)) == EEXIST);
  CHECK(k.create(to(4000, "203.0.113.2")) == EEXIST);
  CHECK(k.create(to(4002, "203.0.113.2")) == 0);
  CHECK(k.create(to(4002, "203.0.113.3")) == 0);
  CHECK(k.create(to(4002)) == EBUSY);
}

TEST_CASE("without EXCL what covers the tuple is renewed, and nothing is made") {
  World world(Firewall::none);
  Kernel k;
  CHECK(k.create(to(4000)) == 0);
  CHECK(k.refresh(to(4000, "203.0.113.2"), 50s) == 0);
  REQUIRE(k.list().size() == 1);
  CHECK(k.list()[0].from.is_any());
  CHECK(k.list()[0].timeout <= 50s);
}

TEST_CASE("without EXCL what is missing is made again; under a lost anchor it is ENOENT") {
  World world(Firewall::none);
  Kernel k;
  CHECK(k.refresh(to(4000), 50s) == 0);
  CHECK(k.list().size() == 1);
  CHECK(k.run([&](NetlinkBatch& b) { put_anchor_touch(b, k.anchor, 600s); }) == 0);
  CHECK(k.run([&](NetlinkBatch& b) { put_anchor_delete(b, k.anchor); }) == 0);
  CHECK(k.list().empty());
  CHECK(k.refresh(to(4000), 50s) == ENOENT);
  CHECK(k.run([&](NetlinkBatch& b) { put_anchor_touch(b, k.anchor, 600s); }) == ENOENT);
}

TEST_CASE("an anchor holds four pinholes, both protocols; the fifth pushes the oldest out silently") {
  World world(Firewall::none);
  Kernel k;
  for (uint16_t port = 4000; port < 4004; ++port) {
    Pinhole pinhole = to(port);
    if (port % 2 == 1) pinhole.protocol = Protocol::tcp;
    CHECK(k.create(pinhole) == 0);
  }
  CHECK(k.list().size() == Anchor::pinholes);
  CHECK(k.create(to(4004)) == 0);
  CHECK(k.list().size() == Anchor::pinholes);
}

TEST_CASE("a pinhole lives 180 s from its creation, and as long as asked after a renewal") {
  World world(Firewall::none);
  Kernel k;
  CHECK(k.create(to(4000)) == 0);
  CHECK(k.list()[0].timeout >= 178s);
  CHECK(k.refresh(to(4000), 1s) == 0);
  std::this_thread::sleep_for(1300ms);
  CHECK(k.list().empty());
}

TEST_CASE("delete takes whatever covers the tuple, with an id only that one") {
  World world(Firewall::none);
  Kernel k;
  CHECK(k.create(to(4000)) == 0);
  const uint32_t id = k.list()[0].id;
  CHECK(id != 0);
  CHECK(k.run([&](NetlinkBatch& b) { put_pinhole_delete(b, k.anchor, to(4000, "203.0.113.2"), id + 1); }) == ENOENT);
  CHECK(k.list().size() == 1);
  CHECK(k.run([&](NetlinkBatch& b) { put_pinhole_delete(b, k.anchor, to(4000), id); }) == 0);
  CHECK(k.list().empty());
}

TEST_CASE("in a zone only an anchor and pinhole of that zone work") {
  World world(Firewall::outward, false);
  world.run(Side::router,
            "nft \"add table inet z; add chain inet z pre { type filter hook prerouting priority -300; }; "
            "add rule inet z pre ct zone set 7\"");
  const auto phone = world.udp(Side::inside, "10.0.0.2:4000"), remote = world.udp(Side::outside, "203.0.113.2:6000");
  Kernel k;
  const Pinhole pinhole{Protocol::udp, {}, ep("10.0.0.2:4000")};
  CHECK(k.create(pinhole) == 0);
  remote.send("hello", ep("10.0.0.2:4000"));
  CHECK(describe(world.receive(phone)) == "nothing");
  const Anchor zoned{2, Family::v4, 7};
  CHECK(k.run([&](NetlinkBatch& b) { put_anchor(b, zoned, 600s); }) == 0);
  CHECK(k.create(zoned, pinhole) == 0);
  remote.send("hello", ep("10.0.0.2:4000"));
  CHECK(describe(world.receive(phone)) == "hello from 203.0.113.2:6000");
}

TEST_CASE("what came through a pinhole lives on without the anchor and still has its helper") {
  World world(Firewall::outward, false);
  world.run(Side::router, "nft insert rule inet fw forward ct helper \\\"sip\\\" counter");
  const auto phone = world.udp(Side::inside, "10.0.0.2:4000"), remote = world.udp(Side::outside, "203.0.113.2:6000");
  Kernel k;
  CHECK(k.create({Protocol::udp, {}, ep("10.0.0.2:4000")}) == 0);
  const auto passes = [&] {
    remote.send("hello", ep("10.0.0.2:4000"));
    return world.receive(phone).has_value();
  };
  CHECK(passes());
  CHECK(k.run([&](NetlinkBatch& b) { put_anchor_delete(b, k.anchor); }) == 0);
  CHECK(passes());
  CHECK(world.run(Side::router, "nft list chain inet fw forward").find("packets 2 ") != std::string::npos);
}

TEST_CASE("deletion of an anchor or a pinhole is told to who listened before they were made, and to him alone") {
  World world(Firewall::none);
  NetlinkSocket events(NETLINK_NETFILTER, NF_NETLINK_CONNTRACK_DESTROY | NF_NETLINK_CONNTRACK_EXP_DESTROY);
  attach_anchor_filter(events.fd());
  Kernel k;
  CHECK(k.create(to(4000)) == 0);
  const Anchor v6{1, Family::v6, 0};
  CHECK(k.run([&](NetlinkBatch& b) { put_anchor(b, v6, 600s); }) == 0);
  std::vector<Tuple> conntracks, masters;
  const auto read = [&] {
    REQUIRE(events.receive([&](const nlmsghdr& m) {
      if (m.nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK)
        conntracks.push_back(parse_conntrack(m)->original);
      else
        masters.push_back(parse_expectation(m)->master);
    }));
  };
  world.run(Side::router, "conntrack -F expect");
  read();
  CHECK(masters == std::vector{k.anchor.tuple()});
  const auto phone = world.udp(Side::inside, "10.0.0.2:4000"), remote = world.udp(Side::outside, "203.0.113.2:6000");
  phone.send("hello", ep("203.0.113.2:6000"));
  world.idle(20ms);
  world.run(Side::router, "conntrack -F; conntrack -F -f ipv6");
  read();
  // in the order of the kernel's hash, which changes from boot to boot
  CHECK(conntracks.size() == 2);
  for (const Tuple& anchor : {k.anchor.tuple(), v6.tuple()}) CHECK(std::ranges::find(conntracks, anchor) != conntracks.end());
}
