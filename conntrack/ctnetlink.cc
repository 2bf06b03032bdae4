// SPDX-License-Identifier: GPL-2.0-or-later
// Conntrack entries and expectations as messages: what we ask of the kernel.
#include "conntrack/ctnetlink.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace sipalg {
namespace {

using std::chrono::seconds;

constexpr uint16_t anchor_port = 5060;
constexpr uint32_t pinhole_class = 1;
constexpr uint16_t create = NLM_F_CREATE | NLM_F_EXCL;
constexpr uint32_t filter_source_address = 1U << 0, filter_destination_address = 1U << 1, filter_protocol = 1U << 3,
                   filter_destination_port = 1U << 5; // CTA_FILTER flags (net/netfilter/nf_conntrack_netlink.c)
constexpr uint16_t cta_filter = 25, cta_filter_original = 1, cta_filter_reply = 2;

uint8_t kernel_family(Family family) { return family == Family::v6 ? AF_INET6 : AF_INET; }
uint8_t kernel_family(const Endpoint& endpoint) { return kernel_family(endpoint.address.family()); }

// Attribute nest that closes itself.
class Nest {
 public:
  Nest(nlmsghdr* message, int type)
      : message_(message), start_(mnl_attr_nest_start(message, static_cast<uint16_t>(type))) {}
  ~Nest() { mnl_attr_nest_end(message_, start_); }
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;

 private:
  nlmsghdr* message_;
  nlattr* start_;
};

void put_number(nlmsghdr* m, int type, uint32_t value) {
  mnl_attr_put_u32(m, static_cast<uint16_t>(type), htonl(value));
}
void put_short(nlmsghdr* m, int type, uint16_t value) {
  mnl_attr_put_u16(m, static_cast<uint16_t>(type), htons(value));
}
void put_zone(nlmsghdr* m, int type, uint16_t zone) {
  if (zone != 0) put_short(m, type, zone);
}

void put_address(nlmsghdr* m, bool source, Family family, std::span<const uint8_t> bytes) {
  const int type =
      family == Family::v6 ? (source ? CTA_IP_V6_SRC : CTA_IP_V6_DST) : (source ? CTA_IP_V4_SRC : CTA_IP_V4_DST);
  std::array<uint8_t, 16> padded{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), padded.size()), padded.begin());
  mnl_attr_put(m, static_cast<uint16_t>(type), family == Family::v6 ? 16 : 4, padded.data());
}

void put_ports(nlmsghdr* m, Protocol protocol, uint16_t source, uint16_t destination) {
  const Nest nest(m, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(m, CTA_PROTO_NUM, static_cast<uint8_t>(protocol));
  put_short(m, CTA_PROTO_SRC_PORT, source);
  put_short(m, CTA_PROTO_DST_PORT, destination);
}

void put_tuple(nlmsghdr* m, int type, const Tuple& tuple) {
  const Nest nest(m, type);
  const Family family = tuple.destination.address.family();
  {
    const Nest addresses(m, CTA_TUPLE_IP);
    put_address(m, true, family, tuple.source.address.bytes());
    put_address(m, false, family, tuple.destination.address.bytes());
  }
  put_ports(m, tuple.protocol, tuple.source.port, tuple.destination.port);
}

std::array<uint8_t, 16> prefix_mask(unsigned prefix) {
  std::array<uint8_t, 16> mask{};
  for (unsigned byte = 0; byte < prefix / 8 && byte < 16; ++byte) mask[byte] = 0xff;
  if (prefix / 8 < 16) mask[prefix / 8] = static_cast<uint8_t>(0xff00U >> prefix % 8);
  return mask;
}

// The mask of a pinhole: its source network, any source port, the destination exactly.
void put_mask(nlmsghdr* m, const Pinhole& pinhole) {
  const Nest nest(m, CTA_EXPECT_MASK);
  const Family family = pinhole.destination.address.family();
  {
    const Nest addresses(m, CTA_TUPLE_IP);
    put_address(m, true, family, prefix_mask(pinhole.source.is_any() ? 0 : pinhole.source.prefix));
    put_address(m, false, family, prefix_mask(128));
  }
  put_ports(m, pinhole.protocol, 0, 0xffff);
}

Tuple tuple_of(const Pinhole& pinhole) { return {pinhole.protocol, {pinhole.source.address, 0}, pinhole.destination}; }

// Only questions ask for an ack: what is not refused is done.
nlmsghdr* begin_conntrack(NetlinkBatch& batch, uint8_t type, uint16_t flags, uint8_t family) {
  return batch.begin_netfilter(NFNL_SUBSYS_CTNETLINK, type, flags, family, 0, 512);
}
nlmsghdr* begin_expectation(NetlinkBatch& batch, uint8_t type, uint16_t flags, const Pinhole& pinhole) {
  return batch.begin_netfilter(NFNL_SUBSYS_CTNETLINK_EXP, type, flags, kernel_family(pinhole.destination), 0, 1024);
}

void build_expectation(NetlinkBatch& batch, uint16_t flags, const Anchor& anchor, const Pinhole& pinhole, seconds lease) {
  nlmsghdr* m = begin_expectation(batch, IPCTNL_MSG_EXP_NEW, flags, pinhole);
  put_tuple(m, CTA_EXPECT_MASTER, anchor.tuple());
  put_tuple(m, CTA_EXPECT_TUPLE, tuple_of(pinhole));
  put_mask(m, pinhole);
  put_number(m, CTA_EXPECT_FLAGS, NF_CT_EXPECT_PERMANENT);
  put_number(m, CTA_EXPECT_TIMEOUT, static_cast<uint32_t>(lease.count()));
  put_number(m, CTA_EXPECT_CLASS, pinhole_class);
  put_zone(m, CTA_EXPECT_ZONE, anchor.zone);
  batch.end();
}

// A pinhole's message outside of zones, made once for each family; only what differs from one to the next is written. Built
// attribute by attribute it costs four times as much, and a refresh asks for each pinhole there is.
class PinholeTemplate {
 public:
  explicit PinholeTemplate(Family family) {
    const bool is_v6 = family == Family::v6;
    const Address any = is_v6 ? Address::v6({}) : Address::v4({});
    build_expectation(message_, 0, {0, family, 0}, {Protocol::udp, {any, 0}, {any, 0}}, seconds{0});
    const int from = is_v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, to = is_v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST;
    anchor_address_ = find({CTA_EXPECT_MASTER, CTA_TUPLE_IP, from});
    anchor_port_ = find({CTA_EXPECT_MASTER, CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT});
    source_ = find({CTA_EXPECT_TUPLE, CTA_TUPLE_IP, from});
    destination_ = find({CTA_EXPECT_TUPLE, CTA_TUPLE_IP, to});
    protocol_ = find({CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_NUM});
    port_ = find({CTA_EXPECT_TUPLE, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT});
    mask_ = find({CTA_EXPECT_MASK, CTA_TUPLE_IP, from});
    mask_protocol_ = find({CTA_EXPECT_MASK, CTA_TUPLE_PROTO, CTA_PROTO_NUM});
    lease_ = find({CTA_EXPECT_TIMEOUT});
  }

  void put(NetlinkBatch& batch, uint16_t flags, const Anchor& anchor, const Pinhole& pinhole, seconds lease) const {
    uint8_t* m = batch.append(message_.message(0));
    batch.last()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    const Endpoint from = anchor.tuple().source;
    write(m + anchor_address_, from.address.bytes());
    write(m + anchor_port_, from.port);
    if (!pinhole.source.is_any()) write(m + source_, pinhole.source.address.bytes());
    write(m + destination_, pinhole.destination.address.bytes());
    m[protocol_] = m[mask_protocol_] = static_cast<uint8_t>(pinhole.protocol);
    write(m + port_, pinhole.destination.port);
    const auto mask = prefix_mask(pinhole.source.is_any() ? 0 : pinhole.source.prefix);
    write(m + mask_, std::span(mask).first(pinhole.destination.address.bytes().size()));
    const uint32_t time = htonl(static_cast<uint32_t>(lease.count()));
    std::memcpy(m + lease_, &time, sizeof time);
  }

 private:
  static void write(uint8_t* place, std::span<const uint8_t> bytes) { std::copy(bytes.begin(), bytes.end(), place); }
  static void write(uint8_t* place, uint16_t port) {
    place[0] = static_cast<uint8_t>(port >> 8);
    place[1] = static_cast<uint8_t>(port & 0xff);
  }
  // Where the value of an attribute stands, by the types of the nests that lead to it.
  std::size_t find(std::initializer_list<int> path) {
    const auto* start = message_.message(0).data();
    const void* place = start + NLMSG_HDRLEN + sizeof(nfgenmsg);
    for (const int type : path) {
      const auto* attribute = static_cast<const nlattr*>(place);
      while (mnl_attr_get_type(attribute) != type) attribute = mnl_attr_next(attribute);
      place = mnl_attr_get_payload(attribute);
    }
    return static_cast<std::size_t>(static_cast<const uint8_t*>(place) - start);
  }
  NetlinkBatch message_;
  std::size_t anchor_address_, anchor_port_, source_, destination_, protocol_, port_, mask_, mask_protocol_, lease_;
};

void put_expectation(NetlinkBatch& batch, uint16_t flags, const Anchor& anchor, const Pinhole& pinhole, seconds lease) {
  static const PinholeTemplate v4(Family::v4), v6(Family::v6);
  if (anchor.zone != 0) return build_expectation(batch, flags, anchor, pinhole, lease);
  (anchor.family == Family::v6 ? v6 : v4).put(batch, flags, anchor, pinhole, lease);
}

// The half of a filter that looks at one tuple. Returns the flags that say which fields count.
uint32_t put_filter_tuple(nlmsghdr* m, int type, const FlowFilter& f, const std::optional<Address>& source,
                          const std::optional<Address>& destination, uint16_t port) {
  uint32_t flags = 0;
  const Nest nest(m, type);
  // IPv6 addresses are left to us: the kernel's filter gives the entries that do not match (assumptions: dump_filter).
  if (f.family == Family::v4 && (source || destination)) {
    const Nest addresses(m, CTA_TUPLE_IP);
    if (source) put_address(m, true, f.family, source->bytes()), flags |= filter_source_address;
    if (destination) put_address(m, false, f.family, destination->bytes()), flags |= filter_destination_address;
  }
  const Nest ports(m, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(m, CTA_PROTO_NUM, static_cast<uint8_t>(f.protocol));
  flags |= filter_protocol;
  if (port != 0) put_short(m, CTA_PROTO_DST_PORT, port), flags |= filter_destination_port;
  return flags;
}

void put_filter(nlmsghdr* m, const FlowFilter& f) {
  const uint32_t original =
      put_filter_tuple(m, CTA_TUPLE_ORIG, f, f.original_source, f.original_destination, f.original_destination_port);
  const uint32_t reply =
      f.reply_destination && f.family == Family::v4
          ? put_filter_tuple(m, CTA_TUPLE_REPLY, f, {}, f.reply_destination, f.reply_destination_port)
          : 0;
  const Nest nest(m, cta_filter);
  mnl_attr_put_u32(m, cta_filter_original, original); // host order, the kernel reads them so
  mnl_attr_put_u32(m, cta_filter_reply, reply);
}

bool matches(const std::optional<Address>& wanted, const Address& address) { return !wanted || *wanted == address; }
bool matches(uint16_t wanted, uint16_t port) { return wanted == 0 || wanted == port; }

bool matches(const FlowFilter& f, const ConntrackEntry& entry) {
  return entry.original.protocol == f.protocol && entry.original.source.address.family() == f.family &&
         matches(f.original_source, entry.original.source.address) &&
         matches(f.original_destination, entry.original.destination.address) &&
         matches(f.original_destination_port, entry.original.destination.port) &&
         matches(f.reply_destination, entry.reply.destination.address) &&
         matches(f.reply_destination_port, entry.reply.destination.port);
}

} // namespace

// The discard prefix of IPv6 and a corner of IPv4 loopback: no packet carries these.
Endpoint anchor_destination(Family family) {
  if (family == Family::v4) return {Address::v4({127, 77, 255, 254}), anchor_port};
  return {Address::v6({1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}), anchor_port};
}

Tuple Anchor::tuple() const {
  const auto host = static_cast<uint8_t>(number / 60'000);
  const auto port = static_cast<uint16_t>(1024 + number % 60'000);
  const Address source = family == Family::v4 ? Address::v4({127, 77, 0, host})
                                              : Address::v6({1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, host});
  return {Protocol::udp, {source, port}, anchor_destination(family)};
}

std::optional<Anchor> anchor_of(const Tuple& original, uint16_t zone) {
  const Family family = original.destination.address.family();
  if (original.destination != anchor_destination(family) || original.source.port < 1024) return {};
  const uint32_t host = original.source.address.bytes().back();
  const Anchor anchor{host * 60'000 + original.source.port - 1024, family, zone};
  if (anchor.tuple() != original) return {};
  return anchor;
}

void put_anchor(NetlinkBatch& batch, const Anchor& anchor, seconds lease) {
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_NEW, create, kernel_family(anchor.family));
  put_tuple(m, CTA_TUPLE_ORIG, anchor.tuple());
  put_tuple(m, CTA_TUPLE_REPLY, anchor.tuple().inverse());
  put_number(m, CTA_TIMEOUT, static_cast<uint32_t>(lease.count()));
  {
    const Nest help(m, CTA_HELP);
    mnl_attr_put_strz(m, CTA_HELP_NAME, "sip");
  }
  put_number(m, CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED); // assured: early drop spares it
  put_zone(m, CTA_ZONE, anchor.zone);
  batch.end();
}

void put_anchor_touch(NetlinkBatch& batch, const Anchor& anchor, seconds lease) {
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_NEW, 0, kernel_family(anchor.family));
  put_tuple(m, CTA_TUPLE_ORIG, anchor.tuple());
  put_number(m, CTA_TIMEOUT, static_cast<uint32_t>(lease.count()));
  put_zone(m, CTA_ZONE, anchor.zone);
  batch.end();
}

void put_anchor_delete(NetlinkBatch& batch, const Anchor& anchor) {
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_DELETE, 0, kernel_family(anchor.family));
  put_tuple(m, CTA_TUPLE_ORIG, anchor.tuple());
  put_zone(m, CTA_ZONE, anchor.zone);
  batch.end();
}

void put_pinhole(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole) {
  put_expectation(batch, create, anchor, pinhole, seconds{180});
}

void put_pinhole_refresh(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole, seconds lease) {
  put_expectation(batch, NLM_F_CREATE, anchor, pinhole, lease);
}

void put_pinhole_get(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole) {
  nlmsghdr* m = begin_expectation(batch, IPCTNL_MSG_EXP_GET, NLM_F_ACK, pinhole);
  put_tuple(m, CTA_EXPECT_TUPLE, tuple_of(pinhole));
  put_zone(m, CTA_EXPECT_ZONE, anchor.zone);
  batch.end();
}

void put_pinhole_delete(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole, uint32_t id) {
  nlmsghdr* m = begin_expectation(batch, IPCTNL_MSG_EXP_DELETE, 0, pinhole);
  put_tuple(m, CTA_EXPECT_TUPLE, tuple_of(pinhole));
  put_number(m, CTA_EXPECT_ID, id);
  put_zone(m, CTA_EXPECT_ZONE, anchor.zone);
  batch.end();
}

void put_flow_get(NetlinkBatch& batch, const Tuple& either_tuple, uint16_t zone) {
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_GET, 0, kernel_family(either_tuple.destination));
  m->nlmsg_flags = NLM_F_REQUEST; // the entry or an error is answer enough: an ack is one more message to receive
  put_tuple(m, CTA_TUPLE_ORIG, either_tuple);
  put_zone(m, CTA_ZONE, zone);
  batch.end();
}

void put_flow_delete(NetlinkBatch& batch, const ConntrackEntry& flow) {
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_DELETE, 0, kernel_family(flow.original.destination));
  put_tuple(m, CTA_TUPLE_ORIG, flow.original);
  put_number(m, CTA_ID, flow.id);
  put_zone(m, CTA_ZONE, flow.zone);
  batch.end();
}

void put_flow_liberal(NetlinkBatch& batch, const Tuple& original, uint16_t zone, bool is_liberal) {
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_NEW, 0, kernel_family(original.destination));
  put_tuple(m, CTA_TUPLE_ORIG, original);
  put_zone(m, CTA_ZONE, zone);
  {
    const Nest protocol(m, CTA_PROTOINFO);
    const Nest tcp(m, CTA_PROTOINFO_TCP);
    const nf_ct_tcp_flags liberal{is_liberal ? uint8_t{IP_CT_TCP_FLAG_BE_LIBERAL} : uint8_t{0}, IP_CT_TCP_FLAG_BE_LIBERAL};
    mnl_attr_put(m, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof liberal, &liberal);
    mnl_attr_put(m, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof liberal, &liberal);
  }
  batch.end();
}

Ctnetlink::Ctnetlink() : socket_(NETLINK_NETFILTER) {}

std::expected<ConntrackEntry, std::error_code> Ctnetlink::find_flow(const Tuple& either_tuple, uint16_t zone) {
  NetlinkBatch batch;
  put_flow_get(batch, either_tuple, zone);
  std::optional<ConntrackEntry> found;
  const auto results = socket_.exchange(batch, [&](std::size_t, const nlmsghdr& m) { found = parse_conntrack(m); });
  if (results[0]) return std::unexpected(results[0]);
  if (!found) return std::unexpected(errno_code(ENOENT));
  return *found;
}

std::expected<void, std::error_code> Ctnetlink::set_liberal(const Tuple& either_tuple, uint16_t zone, bool is_liberal) {
  NetlinkBatch batch;
  put_flow_liberal(batch, either_tuple, zone, is_liberal);
  if (const auto error = first_error(socket_.exchange(batch))) return std::unexpected(error);
  return {};
}

std::expected<void, std::error_code> Ctnetlink::dump_flows(const FlowFilter& filter,
                                                           const std::function<void(const ConntrackEntry&)>& on_flow) {
  const auto checked = [&](const nlmsghdr& m) {
    if (const auto entry = parse_conntrack(m); entry && matches(filter, *entry)) on_flow(*entry);
  };
  NetlinkBatch batch;
  nlmsghdr* m = begin_conntrack(batch, IPCTNL_MSG_CT_GET, 0, kernel_family(filter.family));
  put_filter(m, filter);
  batch.end();
  const auto result = socket_.dump(batch, checked);
  if (result || (result.error() != errno_code(EOPNOTSUPP) && result.error() != errno_code(EINVAL))) return result;
  batch.clear();
  begin_conntrack(batch, IPCTNL_MSG_CT_GET, 0, kernel_family(filter.family));
  batch.end();
  return socket_.dump(batch, checked);
}

// One message for each CPU.
std::expected<uint32_t, std::error_code> Ctnetlink::count_gone_expectations() {
  NetlinkBatch batch;
  batch.begin_netfilter(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET_STATS_CPU, 0, AF_UNSPEC);
  batch.end();
  uint32_t gone = 0;
  const auto add = [](const nlattr* attribute, void* sum) {
    if (mnl_attr_get_type(attribute) == CTA_STATS_EXP_DELETE) *static_cast<uint32_t*>(sum) += ntohl(mnl_attr_get_u32(attribute));
    return MNL_CB_OK;
  };
  const auto result = socket_.dump(batch, [&](const nlmsghdr& m) { mnl_attr_parse(&m, sizeof(nfgenmsg), add, &gone); });
  if (!result) return std::unexpected(result.error());
  return gone;
}

std::expected<void, std::error_code>
Ctnetlink::dump_expectations(const std::function<void(const Expectation&)>& on_expectation) {
  NetlinkBatch batch;
  batch.begin_netfilter(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0, AF_UNSPEC);
  batch.end();
  return socket_.dump(batch, [&](const nlmsghdr& m) {
    if (const auto expectation = parse_expectation(m)) on_expectation(*expectation);
  });
}

} // namespace sipalg
