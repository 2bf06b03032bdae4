// SPDX-License-Identifier: GPL-2.0-or-later
// Conntrack entries and expectations as messages: what the kernel answers.
#include <arpa/inet.h>
#include <array>
#include <bit>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "conntrack/ctnetlink.h"

namespace sipalg {
namespace {

// The attributes of one level by their number; those we do not know are left out.
template <std::size_t count> class AttributesBelow {
 public:
  explicit AttributesBelow(const nlmsghdr& message) { mnl_attr_parse(&message, sizeof(nfgenmsg), keep, this); }
  explicit AttributesBelow(const nlattr& nest) { mnl_attr_parse_nested(&nest, keep, this); }
  const nlattr* operator[](int type) const { return found_[static_cast<std::size_t>(type)]; }
  // Values of another size than expected read as 0.
  uint32_t number(int type) const {
    const nlattr* a = (*this)[type];
    return a != nullptr && mnl_attr_get_payload_len(a) >= 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
  }
  uint16_t short_number(int type) const {
    const nlattr* a = (*this)[type];
    return a != nullptr && mnl_attr_get_payload_len(a) >= 2 ? ntohs(mnl_attr_get_u16(a)) : uint16_t{0};
  }
  uint8_t byte(int type) const {
    const nlattr* a = (*this)[type];
    return a != nullptr && mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : uint8_t{0};
  }
  std::span<const uint8_t> bytes(int type) const {
    const nlattr* a = (*this)[type];
    if (a == nullptr) return {};
    return {static_cast<const uint8_t*>(mnl_attr_get_payload(a)), mnl_attr_get_payload_len(a)};
  }

 private:
  static int keep(const nlattr* attribute, void* self) {
    auto& found = static_cast<AttributesBelow*>(self)->found_;
    if (const auto type = mnl_attr_get_type(attribute); type < found.size()) found[type] = attribute;
    return MNL_CB_OK;
  }
  std::array<const nlattr*, count> found_{};
};

using Attributes = AttributesBelow<32>;
using TupleAttributes = AttributesBelow<8>; // of a tuple and of what is in it

// One side of a tuple's addresses.
Address address_in(const TupleAttributes& ip, int v4, int v6) {
  return Address::from_bytes(ip[v4] != nullptr ? ip.bytes(v4) : ip.bytes(v6));
}

std::optional<Tuple> parse_tuple(const nlattr* nest, uint16_t* zone = nullptr) {
  if (nest == nullptr) return {};
  const TupleAttributes tuple(*nest);
  if (tuple[CTA_TUPLE_IP] == nullptr || tuple[CTA_TUPLE_PROTO] == nullptr) return {};
  const TupleAttributes ip(*tuple[CTA_TUPLE_IP]);
  const TupleAttributes ports(*tuple[CTA_TUPLE_PROTO]);
  const uint8_t protocol = ports.byte(CTA_PROTO_NUM);
  if (protocol != static_cast<uint8_t>(Protocol::udp) && protocol != static_cast<uint8_t>(Protocol::tcp)) return {};
  if (zone != nullptr && tuple[CTA_TUPLE_ZONE] != nullptr) *zone = tuple.short_number(CTA_TUPLE_ZONE);
  return Tuple{protocol == static_cast<uint8_t>(Protocol::udp) ? Protocol::udp : Protocol::tcp,
               {address_in(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC), ports.short_number(CTA_PROTO_SRC_PORT)},
               {address_in(ip, CTA_IP_V4_DST, CTA_IP_V6_DST), ports.short_number(CTA_PROTO_DST_PORT)}};
}

std::optional<ConntrackEntry> parse_entry(const Attributes& attributes) {
  ConntrackEntry entry;
  entry.zone = attributes.short_number(CTA_ZONE);
  const auto original = parse_tuple(attributes[CTA_TUPLE_ORIG], &entry.zone);
  const auto reply = parse_tuple(attributes[CTA_TUPLE_REPLY]);
  if (!original || !reply) return {};
  entry.original = *original;
  entry.reply = *reply;
  entry.id = attributes.number(CTA_ID);
  entry.status = attributes.number(CTA_STATUS);
  entry.mark = attributes.number(CTA_MARK);
  entry.has_helper = attributes[CTA_HELP] != nullptr;
  if (attributes[CTA_TIMEOUT] != nullptr) entry.timeout = std::chrono::seconds{attributes.number(CTA_TIMEOUT)};
  return entry;
}

// Length of the source mask of an expectation, which is always a prefix.
uint8_t prefix_in(const nlattr* mask) {
  if (mask == nullptr) return 0;
  const TupleAttributes tuple(*mask);
  if (tuple[CTA_TUPLE_IP] == nullptr) return 0;
  const TupleAttributes ip(*tuple[CTA_TUPLE_IP]);
  int bits = 0;
  for (const uint8_t byte : ip[CTA_IP_V4_SRC] != nullptr ? ip.bytes(CTA_IP_V4_SRC) : ip.bytes(CTA_IP_V6_SRC))
    bits += std::popcount(byte);
  return static_cast<uint8_t>(bits);
}

} // namespace

std::optional<ConntrackEntry> parse_conntrack(const nlmsghdr& message) { return parse_entry(Attributes(message)); }
std::optional<ConntrackEntry> parse_conntrack(const nlattr& nest) { return parse_entry(Attributes(nest)); }

// Each of our own deletions brings some, so nothing is parsed but the tuple: original of a conntrack, master of an
// expectation.
std::optional<uint32_t> find_anchor_number(const nlmsghdr& event) {
  static_assert(int{CTA_TUPLE_ORIG} == int{CTA_EXPECT_MASTER});
  const nlattr* tuple = nullptr;
  const auto find_tuple = [](const nlattr* attribute, void* found) {
    if (mnl_attr_get_type(attribute) != CTA_TUPLE_ORIG) return MNL_CB_OK;
    *static_cast<const nlattr**>(found) = attribute;
    return MNL_CB_STOP;
  };
  mnl_attr_parse(&event, sizeof(nfgenmsg), find_tuple, &tuple);
  const auto original = parse_tuple(tuple);
  const auto anchor = original ? anchor_of(*original, 0) : std::nullopt;
  return anchor ? std::optional(anchor->number) : std::nullopt;
}

std::optional<Expectation> parse_expectation(const nlmsghdr& message) {
  const Attributes attributes(message);
  const auto tuple = parse_tuple(attributes[CTA_EXPECT_TUPLE]);
  if (!tuple) return {};
  Expectation expectation;
  expectation.tuple = *tuple;
  if (const uint8_t prefix = prefix_in(attributes[CTA_EXPECT_MASK]); prefix != 0)
    expectation.from = {tuple->source.address, prefix};
  if (const auto master = parse_tuple(attributes[CTA_EXPECT_MASTER])) expectation.master = *master;
  expectation.zone = attributes.short_number(CTA_EXPECT_ZONE);
  expectation.id = attributes.number(CTA_EXPECT_ID);
  if (attributes[CTA_EXPECT_TIMEOUT] != nullptr)
    expectation.timeout = std::chrono::seconds{attributes.number(CTA_EXPECT_TIMEOUT)};
  return expectation;
}

} // namespace sipalg
