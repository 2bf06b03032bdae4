// SPDX-License-Identifier: GPL-2.0-or-later
// From captured frames to whole IP packets, and to the flows a masquerading router would make of them.
#include <pcap/dlt.h>

#include <catch2/catch.hpp>

#include "cli/link_layer.h"
#include "cli/reassembly.h"
#include "cli/source_nat.h"

using namespace sipalg;
using namespace std::chrono_literals;
using Bytes = std::vector<uint8_t>;

namespace {

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}
Bytes number16(std::size_t value) { return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)}; }

// UDP 10.0.0.2:5060 -> 203.0.113.2:5060. `word`: flags and offset.
Bytes v4(const Bytes& payload, uint16_t word = 0) {
  return joined({{0x45, 0}, number16(20 + payload.size()), {0, 7}, number16(word), {64, 17, 0, 0, 10, 0, 0, 2, 203, 0, 113, 2}, payload});
}
Bytes udp(const Bytes& payload) { return joined({number16(5060), number16(5060), number16(8 + payload.size()), {0, 0}, payload}); }
Bytes v6(uint8_t next, const Bytes& payload) {
  Bytes addresses(32, 0);
  addresses[0] = addresses[16] = 0x20;
  addresses[15] = 1;
  addresses[31] = 2;
  return joined({{0x60, 0, 0, 0}, number16(payload.size()), {next, 64}, addresses, payload});
}
Bytes fragment_header(uint16_t word) { return joined({{17, 0}, number16(word), {0, 0, 0, 9}}); }

Bytes piece(const Bytes& of, std::size_t from, std::size_t to) {
  return {of.begin() + static_cast<std::ptrdiff_t>(from), of.begin() + static_cast<std::ptrdiff_t>(to)};
}
Bytes copy(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

constexpr Instant now{1h};

}  // namespace

TEST_CASE("the IP packet of a frame, by link type") {
  const Bytes packet = v4(udp({1, 2, 3}));
  const Bytes macs(12, 0xee), padding(9, 0);
  struct Row {
    const char* name;
    int link_type;
    Bytes frame;
  };
  const Row rows[] = {
      {"ethernet", DLT_EN10MB, joined({macs, {8, 0}, packet})},
      {"ethernet with padding", DLT_EN10MB, joined({macs, {8, 0}, packet, padding})},
      {"vlan", DLT_EN10MB, joined({macs, {0x81, 0, 0, 5, 8, 0}, packet})},
      {"two vlans", DLT_EN10MB, joined({macs, {0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0}, packet})},
      {"pppoe", DLT_EN10MB, joined({macs, {0x88, 0x64, 0x11, 0, 0, 1, 0, 99, 0, 0x21}, packet})},
      {"cooked", DLT_LINUX_SLL, joined({Bytes(14, 0), {8, 0}, packet})},
      {"cooked 2", DLT_LINUX_SLL2, joined({{8, 0}, Bytes(18, 0), packet})},
      {"raw", DLT_RAW, packet},
      {"loopback", DLT_NULL, joined({{2, 0, 0, 0}, packet})},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    REQUIRE(is_known_link_type(row.link_type));
    const auto found = find_ip(row.link_type, row.frame);
    REQUIRE(found);
    CHECK(copy(*found) == packet);
    for (std::size_t size = 0; size + padding.size() < row.frame.size(); ++size)
      CHECK_FALSE(find_ip(row.link_type, std::span(row.frame).first(size)));
  }
  CHECK_FALSE(find_ip(DLT_EN10MB, joined({macs, {8, 6}, packet})));  // ARP
  CHECK_FALSE(is_known_link_type(DLT_IEEE802_11));
}

TEST_CASE("fragments of IPv4 in any order become the packet") {
  const Bytes payload = udp(Bytes(40, 'x'));
  const Bytes first = v4(piece(payload, 0, 16), 0x2000), second = v4(piece(payload, 16, 32), 0x2002),
              third = v4(piece(payload, 32, 48), 4);
  for (const auto& order : {std::array{first, second, third}, std::array{third, first, second}, std::array{second, third, first}}) {
    Reassembly reassembly;
    CHECK_FALSE(reassembly.add(order[0], now));
    CHECK_FALSE(reassembly.add(order[1], now));
    CHECK_FALSE(reassembly.add(order[1], now));  // again
    const auto whole = reassembly.add(order[2], now);
    REQUIRE(whole);
    CHECK(copy(*whole) == v4(payload));
    CHECK(reassembly.last_was_fragmented());
    CHECK(reassembly.unfinished() == 0);
  }
}

TEST_CASE("fragments of IPv6 lose their fragment header") {
  const Bytes payload = udp(Bytes(16, 'x'));
  Reassembly reassembly;
  CHECK_FALSE(reassembly.add(v6(44, joined({fragment_header(1), piece(payload, 0, 16)})), now));
  const auto whole = reassembly.add(v6(44, joined({fragment_header(16), piece(payload, 16, 24)})), now);
  REQUIRE(whole);
  CHECK(copy(*whole) == v6(17, payload));
}

TEST_CASE("overlapping, late and endless fragments come to nothing") {
  const Bytes payload = udp(Bytes(40, 'x'));
  Reassembly overlapping;
  overlapping.add(v4(piece(payload, 0, 16), 0x2000), now);
  CHECK_FALSE(overlapping.add(v4(piece(payload, 8, 48), 1), now));
  CHECK(overlapping.unfinished() == 1);

  Reassembly late;
  late.add(v4(piece(payload, 0, 16), 0x2000), now);
  CHECK_FALSE(late.add(v4(piece(payload, 16, 48), 2), now + 31s));
  CHECK(late.unfinished() == 2);

  Reassembly too_large;
  CHECK_FALSE(too_large.add(v4(Bytes(24, 0), 0x1fff), now));
  CHECK(too_large.unfinished() == 1);
}

TEST_CASE("what is whole passes as it is") {
  const Bytes packet = v4(udp({1}));
  Reassembly reassembly;
  const auto whole = reassembly.add(packet, now);
  REQUIRE(whole);
  CHECK(whole->data() == packet.data());
  CHECK_FALSE(reassembly.last_was_fragmented());
}

TEST_CASE("masquerade keeps the port, and finds another for the second host") {
  OfflineKeeper keeper;
  SourceNat nat({*parse_network("10.0.0.0/24")}, {*parse_address("203.0.113.1")}, keeper);
  DatagramView view;
  view.source = *parse_endpoint("10.0.0.2:5060");
  view.destination = *parse_endpoint("203.0.113.2:5060");
  REQUIRE(nat.way_of(view) == Way::out);
  const Flow first = nat.flow_of(view, Way::out);
  CHECK(to_string(first.sender.outside) == "203.0.113.1:5060");
  CHECK(first.begun_by_sender);
  view.source = *parse_endpoint("10.0.0.3:5060");
  CHECK(to_string(nat.flow_of(view, Way::out).sender.outside) == "203.0.113.1:5061");

  std::swap(view.source, view.destination);
  REQUIRE(nat.way_of(view) == Way::in);
  const Flow back = nat.flow_of(view, Way::in);
  CHECK(to_string(back.receiver.outside) == "203.0.113.1:5061");
  CHECK_FALSE(back.begun_by_sender);

  view.source = *parse_endpoint("10.0.0.9:5060");
  CHECK(nat.way_of(view) == Way::between_inside);
  view.source = view.destination = *parse_endpoint("198.51.100.1:5060");
  CHECK(nat.way_of(view) == Way::not_inside);
}

TEST_CASE("a door translates before masquerade does; a family without outside address is not translated") {
  OfflineKeeper keeper;
  KernelDoor door;
  door.inside = *parse_endpoint("10.0.0.2:4000");
  door.outside = *parse_endpoint("203.0.113.1:40000");
  DoorHandle handle = 0;
  REQUIRE(keeper.open({&door, 1}, {&handle, 1}));
  SourceNat nat({*parse_network("10.0.0.0/24"), *parse_network("2001:db8::/32")}, {*parse_address("203.0.113.1")}, keeper);
  DatagramView view;
  view.source = door.inside;
  view.destination = *parse_endpoint("203.0.113.2:5000");
  CHECK(nat.flow_of(view, Way::out).sender.outside == door.outside);
  view.source = *parse_endpoint("[2001:db8::2]:5060");
  view.destination = *parse_endpoint("[2001:db9::2]:5060");
  CHECK_FALSE(nat.flow_of(view, Way::out).sender.is_translated());
  keeper.close({&handle, 1});
  view.source = door.inside;
  view.destination = *parse_endpoint("203.0.113.3:5000");
  CHECK(nat.flow_of(view, Way::out).sender.outside.port == 4000);
}

TEST_CASE("a door has a flow while packets were seen lately") {
  OfflineKeeper keeper;
  KernelDoor door;
  door.inside = *parse_endpoint("10.0.0.2:4000");
  DoorHandle handle = 0;
  REQUIRE(keeper.open({&door, 1}, {&handle, 1}));
  CHECK_FALSE(keeper.has_flow({&handle, 1}));
  keeper.saw_packet(door.inside, now);
  CHECK(keeper.has_flow({&handle, 1}));
  keeper.saw_packet(*parse_endpoint("10.0.0.9:1"), now + 121s);
  CHECK_FALSE(keeper.has_flow({&handle, 1}));
}
