// SPDX-License-Identifier: GPL-2.0-or-later
// Datagrams: literal packets, every truncation of them, and checksums recomputed by an independent sum.
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>

#include "alg/packet/checksum.h"
#include "alg/packet/datagram.h"
#include "test/unit/packet_bytes.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

Bytes udp(std::string_view payload) { return be16(5060) + be16(5070) + be16(8 + payload.size()) + be16(0) + text(payload); }
Bytes tcp(std::string_view payload) {
  return be16(5060) + be16(5070) + Bytes(8) + Bytes{0x60, 0x18} + Bytes(6) + Bytes{1, 1, 1, 0} + text(payload);
}
Bytes v4(uint8_t protocol, const Bytes& inside, uint16_t fragment = 0x4000, const Bytes& options = {}) {
  const auto header = 20 + options.size();
  return Bytes{static_cast<uint8_t>(0x40 | header / 4), 0} + be16(header + inside.size()) + be16(0) + be16(fragment) + Bytes{64, protocol, 0, 0, 10, 0, 0, 2, 192, 0, 2, 4} +
         options + inside;
}
Bytes v6(uint8_t next, const Bytes& inside) {
  Bytes address{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  return Bytes{0x60, 0, 0, 0} + be16(inside.size()) + Bytes{next, 64} + address + Bytes{1} + address + Bytes{2} + inside;
}

std::expected<DatagramView, PacketError> view(const Bytes& packet, std::unique_ptr<uint8_t[]>& memory) {
  memory.reset(new uint8_t[packet.size()]);
  std::copy(packet.begin(), packet.end(), memory.get());
  return view_datagram({memory.get(), packet.size()});
}

// 0 would say that there is none (RFC 768)
bool has_right_udp_checksum(const Bytes& packet) {
  const auto d = view_datagram(packet);
  return d && has_right_checksums(packet) && (packet[d->transport_offset + 6] | packet[d->transport_offset + 7]) != 0;
}

}  // namespace

TEST_CASE("what a packet holds") {
  struct Case { const char* name; Bytes packet; Protocol protocol; const char *source, *destination; bool df; };
  const Bytes hop{17, 0, 1, 4, 0, 0, 0, 0}, routing_done{17, 2, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  for (const Case& c : {
           Case{"udp", v4(17, udp("hello")), Protocol::udp, "10.0.0.2:5060", "192.0.2.4:5070", true},
           Case{"without DF", v4(17, udp("hello"), 0), Protocol::udp, "10.0.0.2:5060", "192.0.2.4:5070", false},
           Case{"options", v4(17, udp("hello"), 0x4000, {1, 1, 1, 0}), Protocol::udp, "10.0.0.2:5060", "192.0.2.4:5070", true},
           Case{"tcp with options", v4(6, tcp("hello")), Protocol::tcp, "10.0.0.2:5060", "192.0.2.4:5070", true},
           Case{"padding", v4(17, udp("hello")) + Bytes(13), Protocol::udp, "10.0.0.2:5060", "192.0.2.4:5070", true},
           Case{"v6", v6(17, udp("hello")), Protocol::udp, "[2001:db8::1]:5060", "[2001:db8::2]:5070", true},
           Case{"v6 tcp", v6(6, tcp("hello")), Protocol::tcp, "[2001:db8::1]:5060", "[2001:db8::2]:5070", true},
           Case{"hop-by-hop", v6(0, hop + udp("hello")), Protocol::udp, "[2001:db8::1]:5060", "[2001:db8::2]:5070", true},
           Case{"destination options", v6(60, hop + udp("hello")), Protocol::udp, "[2001:db8::1]:5060", "[2001:db8::2]:5070", true},
           Case{"routing, arrived", v6(43, routing_done + udp("hello")), Protocol::udp, "[2001:db8::1]:5060", "[2001:db8::2]:5070", true},
       }) {
    INFO(c.name);
    std::unique_ptr<uint8_t[]> memory;
    const auto d = view(c.packet, memory);
    REQUIRE(d);
    CHECK(d->payload() == "hello");
    CHECK(d->protocol == c.protocol);
    CHECK(to_string(d->source) == c.source);
    CHECK(to_string(d->destination) == c.destination);
    CHECK(d->dont_fragment == c.df);
  }
}

TEST_CASE("what is refused") {
  struct Case { const char* name; Bytes packet; const char* error; };
  Bytes short_udp = v4(17, udp("hello")), long_udp = short_udp, long_ip = short_udp, short_header = short_udp, bad_tcp = v4(6, tcp("x"));
  short_udp[25] = 7, long_udp[25] = 14, long_ip[3] = 200, short_header[0] = 0x44, bad_tcp[32] = 0x40;
  const Bytes routing{17, 0, 0, 1, 0, 0, 0, 0}, home{17, 2, 0xc9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 0, 0};
  for (const Case& c : {
           Case{"nothing", {}, "truncated"}, Case{"version", {0x50, 0, 0}, "not-ip"}, Case{"first fragment", v4(17, udp("x"), 0x2000), "fragment"},
           Case{"later fragment", v4(17, udp("x"), 0x0001), "fragment"}, Case{"icmp", v4(1, udp("x")), "other-protocol"},
           Case{"v6 fragment", v6(44, Bytes(8) + udp("x")), "fragment"}, Case{"v6 icmp", v6(58, udp("x")), "other-protocol"},
           Case{"esp", v6(50, udp("x")), "other-protocol"}, Case{"routing, not arrived", v6(43, routing + udp("x")), "other-protocol"},
           Case{"home address", v6(60, home + udp("x")), "other-protocol"}, Case{"udp too short", short_udp, "bad-length"},
           Case{"udp too long", long_udp, "bad-length"}, Case{"ip too long", long_ip, "truncated"}, Case{"ip header", short_header, "bad-length"},
           Case{"tcp header", bad_tcp, "bad-length"}, Case{"extension cut", v6(0, {17, 9, 0, 0, 0, 0, 0, 0}), "truncated"},
       }) {
    INFO(c.name);
    std::unique_ptr<uint8_t[]> memory;
    const auto d = view(c.packet, memory);
    REQUIRE_FALSE(d);
    CHECK(name_of(d.error()) == c.error);
  }
}

TEST_CASE("a packet cut anywhere is refused") {
  const Bytes hop{17, 0, 1, 4, 0, 0, 0, 0};
  for (const Bytes& packet : {v4(17, udp("hello")), v6(0, hop + udp("hello")), v4(6, tcp("hello")), v6(6, tcp(""))})
    for (std::size_t size = 0; size < packet.size(); ++size) {
      std::unique_ptr<uint8_t[]> memory;
      CHECK_FALSE(view(Bytes(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size)), memory));
    }
}

TEST_CASE("another payload: lengths and checksums are right, the rest stays") {
  const Bytes hop{17, 0, 1, 4, 0, 0, 0, 0};
  for (const Bytes& packet : {v4(17, udp("hello")), v4(17, udp("hello"), 0x4000, {1, 1, 1, 0}), v6(17, udp("hello")), v6(0, hop + udp("hello")), v4(17, udp("hello")) + Bytes(9)})
    for (const std::string& payload : {std::string(), std::string("x"), std::string("odd number"), std::string(1400, 'a'), std::string(65'000, '\xff')}) {
      std::unique_ptr<uint8_t[]> memory;
      const auto before = view(packet, memory);
      REQUIRE(before);
      std::vector<uint8_t> out{1, 2, 3};
      replace_payload(*before, payload, false, out);
      const auto after = view_datagram(out);
      REQUIRE(after);
      CHECK(after->packet.size() == out.size());
      CHECK(after->payload() == payload);
      CHECK(after->source == before->source);
      CHECK(after->destination == before->destination);
      CHECK(after->dont_fragment == before->dont_fragment);
      CHECK(has_right_udp_checksum(out));
      if (after->source.address.family() == Family::v4) CHECK(sum(Bytes(out.begin(), out.begin() + after->transport_offset)) == 0xffff);
    }
}

TEST_CASE("a sum of any length is the plain one, and may be taken in parts") {
  Bytes bytes;
  for (std::size_t i = 0; i < 200; ++i) bytes.push_back(static_cast<uint8_t>(i * 151 + i / 7));
  for (const Bytes& all : {bytes, Bytes(200, 0xff), Bytes(200, 0)})
    for (std::size_t size = 0; size <= all.size(); ++size) {
      const std::unique_ptr<uint8_t[]> memory(new uint8_t[size]);
      std::copy_n(all.begin(), size, memory.get());
      const std::span<const uint8_t> whole(memory.get(), size);
      const uint32_t expected = sum(Bytes(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size)));
      REQUIRE(sum_words(whole) == expected);
      const std::size_t half = size / 4 * 2;
      REQUIRE(sum_words(whole.subspan(half), sum_words(whole.first(half))) == expected);
    }
}

TEST_CASE("a checksum that comes to 0 is written as ffff") {
  std::unique_ptr<uint8_t[]> memory;
  const Bytes packet = v4(17, udp(""));
  const auto before = view(packet, memory);
  bool seen = false;
  for (unsigned v = 0; v < 65'536 && !seen; ++v) {
    std::vector<uint8_t> out;
    const char payload[2] = {static_cast<char>(v >> 8), static_cast<char>(v)};
    replace_payload(*before, {payload, 2}, false, out);
    seen = out[26] == 0xff && out[27] == 0xff;
    CHECK((out[26] | out[27]) != 0);
  }
  CHECK(seen);
}

TEST_CASE("cleared DF brings an identification, always the same one") {
  std::unique_ptr<uint8_t[]> memory;
  const auto before = view(v4(17, udp("hello")), memory);
  std::vector<uint8_t> one, two;
  replace_payload(*before, "payload", true, one);
  replace_payload(*before, "payload", true, two);
  CHECK(one == two);
  CHECK((one[4] | one[5]) != 0);
  CHECK_FALSE(view_datagram(one)->dont_fragment);
  CHECK(sum(Bytes(one.begin(), one.begin() + 20)) == 0xffff);
}
