// SPDX-License-Identifier: GPL-2.0-or-later
// TCP segments: read, and written with other numbers, options and payload, IPv4 and IPv6.
#include "alg/packet/tcp_segment.h"

#include <catch2/catch.hpp>

#include "test/unit/packet_bytes.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

Bytes tcp(const Bytes& options, std::string_view payload, uint8_t flags = 0xd8) {
  return be16(5060) + be16(40'000) + be32(0xfffffff0U) + be32(1000) + Bytes{static_cast<uint8_t>((20 + options.size()) / 4 << 4), flags} + be16(512) + be16(0) + be16(7) +
         options + Bytes(payload.begin(), payload.end());
}
Bytes v4(const Bytes& inside) {
  return Bytes{0x46, 0} + be16(24 + inside.size()) + be16(77) + be16(0x4000) + Bytes{64, 6, 0, 0, 10, 0, 0, 2, 192, 0, 2, 4, 1, 1, 1, 0} + inside;
}
Bytes v6(const Bytes& inside) {
  const Bytes address{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, hop{6, 0, 1, 4, 0, 0, 0, 0};
  return Bytes{0x60, 0, 0, 0} + be16(inside.size() + 8) + Bytes{0, 64} + address + Bytes{1} + address + Bytes{2} + hop + inside;
}

const Bytes times{1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 5}, sack = Bytes{1, 1, 5, 18} + be32(2000) + be32(2100) + be32(3000) + be32(3100);

SegmentView view(const Bytes& packet) {
  const auto datagram = view_datagram(packet);
  REQUIRE(datagram);
  return view_segment(*datagram);
}

}  // namespace

TEST_CASE("what a segment says") {
  for (const Bytes& packet : {v4(tcp(times + sack, "hello")), v6(tcp(times + sack, "hello"))}) {
    const SegmentView segment = view(packet);
    CHECK(segment.sequence == 0xfffffff0U);
    CHECK(segment.acknowledgement == 1000);
    CHECK(segment.window == 512);
    CHECK(segment.urgent == 7);
    CHECK(segment.flags == 0x18);
    CHECK(segment.payload == "hello");
    REQUIRE(segment.timestamps);
    CHECK(segment.timestamps->value == 9);
    CHECK(segment.timestamps->echo == 5);
    REQUIRE(segment.sack.count == 2);
    CHECK(segment.sack.blocks[1] == SackBlock{3000, 3100});
    CHECK_FALSE(segment.is_signed);
  }
}

TEST_CASE("options of a SYN, and options nobody can read") {
  const Bytes syn{2, 4, 5, 0xb4, 1, 3, 3, 20, 4, 2, 0, 0};
  const Bytes syn_packet = v4(tcp(syn, "", 2));
  const SegmentView segment = view(syn_packet);
  CHECK(segment.mss == 1460);
  CHECK(segment.window_scale == uint8_t{14});  // RFC 7323 section 2.3
  CHECK(segment.sack_permitted);
  for (const Bytes& broken : {Bytes{8, 1, 1, 1}, Bytes{1, 1, 1, 8}, Bytes{8, 200, 0, 0}, Bytes{5, 4, 0, 0}, Bytes{2, 3, 1, 1}}) {
    const Bytes packet = v4(tcp(broken, "x"));
    const SegmentView odd = view(packet);
    CHECK_FALSE(odd.timestamps);
    CHECK(odd.mss == 0);
    Bytes out;
    write_segment(odd.headers, odd.transport_offset, fields_of(odd), odd.payload, out);
    CHECK(has_right_checksums(out));
  }
  const Bytes signed_packet = v4(tcp(Bytes{19, 18} + Bytes(16) + Bytes{1, 1}, "x"));
  CHECK(view(signed_packet).is_signed);
}

TEST_CASE("written with its own fields it is the same, with right checksums") {
  for (const Bytes& options : {Bytes{}, times, times + sack, sack})
    for (const Bytes& packet : {v4(tcp(options, "hello")), v6(tcp(options, "hello!"))}) {
      const SegmentView segment = view(packet);
      Bytes out;
      write_segment(segment.headers, segment.transport_offset, fields_of(segment), segment.payload, out);
      REQUIRE(out.size() == packet.size());
      CHECK(has_right_checksums(out));
      const std::size_t at = segment.transport_offset;
      for (std::size_t i = 0; i < out.size(); ++i)
        if ((i < 10 || i > 11) && (i < at + 16 || i > at + 17)) CHECK(out[i] == packet[i]);
    }
}

TEST_CASE("other numbers, options and payload; ECE and CWR stay") {
  for (const Bytes& packet : {v4(tcp(times + sack, "hello")), v6(tcp(times + sack, "hello"))}) {
    const SegmentView segment = view(packet);
    SegmentFields fields = fields_of(segment);
    fields.sequence = 5, fields.acknowledgement = 0xffffffffU, fields.window = 1, fields.flags = tcp_ack | tcp_fin, fields.urgent = 0;
    fields.timestamps = Timestamps{100, 50};
    fields.sack = {};
    Bytes out;
    for (const std::string& payload : {std::string(), std::string("odd"), std::string(1400, 'a'), std::string(60'000, '\xff')}) {
      write_segment(segment.headers, segment.transport_offset, fields, payload, out);
      CHECK(has_right_checksums(out));
      const SegmentView after = view(out);
      CHECK(after.sequence == 5);
      CHECK(after.acknowledgement == 0xffffffffU);
      CHECK(after.window == 1);
      CHECK(after.flags == (tcp_ack | tcp_fin));
      CHECK((out[after.transport_offset + 13] & 0xc0) == 0xc0);
      CHECK(after.timestamps->value == 100);
      CHECK(after.timestamps->echo == 50);
      CHECK(after.sack.count == 0);
      CHECK(after.headers.size() == segment.headers.size() - 20);
      CHECK(after.payload == payload);
    }
  }
}

TEST_CASE("SACK blocks come and go as there is room; an MSS is lowered in place") {
  const Bytes packet = v4(tcp(times, "")), bare = v4(tcp({}, ""));
  SackBlocks three;
  for (uint32_t i = 1; i <= 3; ++i) three.add({i * 100, i * 100 + 50});
  for (const Bytes& one : {packet, bare}) {
    const SegmentView segment = view(one);
    SegmentFields fields = fields_of(segment);
    fields.sack = three;
    Bytes out;
    write_segment(segment.headers, segment.transport_offset, fields, "x", out);
    const SegmentView after = view(out);
    CHECK(has_right_checksums(out));
    REQUIRE(after.sack.count == 3);
    CHECK(after.sack.blocks[2] == SackBlock{300, 350});
    CHECK(after.timestamps.has_value() == segment.timestamps.has_value());
    CHECK((after.headers.size() - after.transport_offset) % 4 == 0);
  }
  const Bytes syn_packet = v6(tcp({2, 4, 5, 0xb4}, "", 2));
  const SegmentView syn = view(syn_packet);
  SegmentFields fields = fields_of(syn);
  fields.mss = 1340;
  Bytes out;
  write_segment(syn.headers, syn.transport_offset, fields, {}, out);
  CHECK(view(out).mss == 1340);
  CHECK(has_right_checksums(out));
}
