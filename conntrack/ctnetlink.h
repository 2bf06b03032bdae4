// SPDX-License-Identifier: GPL-2.0-or-later
// Conntrack entries and expectations as messages: built with libmnl, parsed into our types.
//
// Anchors (kernel-facts, section 3) are conntracks of our own in tuple space that no packet uses; all share one
// destination per family, so that one filtered dump finds them. Expectations are always created with NLM_F_EXCL:
// without it the kernel says yes and makes nothing when something covers the tuple already.
#pragma once
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <system_error>

#include "alg/base/endpoint.h"
#include "conntrack/netlink.h"

namespace sipalg {

// What conntrack knows a direction of a flow by.
struct Tuple {
  Protocol protocol = Protocol::udp;
  Endpoint source;
  Endpoint destination;
  Tuple inverse() const { return {protocol, destination, source}; }
  friend auto operator<=>(const Tuple&, const Tuple&) = default;
};

// A conntrack entry as the kernel reports it (also inside NFQA_CT).
struct ConntrackEntry {
  Tuple original;
  Tuple reply;
  uint32_t id = 0;
  uint32_t status = 0; // IPS_*
  uint32_t mark = 0;
  uint16_t zone = 0;
  bool has_helper = false;
  std::optional<std::chrono::seconds> timeout; // absent: offloaded, or not confirmed yet
};

struct Expectation {
  Tuple tuple;  // destination before translation; source {} = any
  Network from; // which sources; any = everybody. `tuple.source` is derived from it
  Tuple master;
  uint16_t zone = 0;
  uint32_t id = 0;
  std::optional<std::chrono::seconds> timeout;
};

// A conntrack of our own that holds pinholes.
struct Anchor {
  uint32_t number = 0; // below `most`
  Family family = Family::v4;
  uint16_t zone = 0;
  static constexpr uint32_t most = 60'000U * 200U;
  static constexpr std::size_t pinholes = 4; // class 1 of helper "sip"; the kernel evicts the oldest beyond it
  Tuple tuple() const;
  friend auto operator<=>(const Anchor&, const Anchor&) = default;
};
Endpoint anchor_destination(Family family);
std::optional<Anchor> anchor_of(const Tuple& original, uint16_t zone);
// An event socket then gets messages about anchors and their pinholes only, and not what `own_portid` asked for.
void attach_anchor_filter(int fd, uint32_t own_portid = 0);

// --- messages ---
void put_anchor(NetlinkBatch& batch, const Anchor& anchor, std::chrono::seconds lease);
void put_anchor_touch(NetlinkBatch& batch, const Anchor& anchor, std::chrono::seconds lease); // ENOENT: it is lost
void put_anchor_delete(NetlinkBatch& batch, const Anchor& anchor);
// `source`: who may come, any port. `destination`: where to, before translation.
struct Pinhole {
  Protocol protocol = Protocol::udp;
  Network source;
  Endpoint destination;
  friend auto operator<=>(const Pinhole&, const Pinhole&) = default;
};
void put_pinhole(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole);
// Sets its time; one that is missing is made again. ENOENT: the anchor is lost.
void put_pinhole_refresh(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole, std::chrono::seconds lease);
void put_pinhole_get(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole);
void put_pinhole_delete(NetlinkBatch& batch, const Anchor& anchor, const Pinhole& pinhole, uint32_t id);
void put_flow_get(NetlinkBatch& batch, const Tuple& either_tuple, uint16_t zone);
void put_flow_delete(NetlinkBatch& batch, const ConntrackEntry& flow);
// Conntrack stops judging sequence numbers of this TCP connection, both directions (IP_CT_TCP_FLAG_BE_LIBERAL).
void put_flow_liberal(NetlinkBatch& batch, const Tuple& original, uint16_t zone);

// --- answers ---
// None for protocols other than UDP and TCP.
std::optional<ConntrackEntry> parse_conntrack(const nlmsghdr& message);
std::optional<ConntrackEntry> parse_conntrack(const nlattr& nest); // NFQA_CT
std::optional<Expectation> parse_expectation(const nlmsghdr& message);
// Of the anchor whose deletion, or whose pinhole's deletion, an event tells; whatever its zone.
std::optional<uint32_t> find_anchor_number(const nlmsghdr& event);

// Which conntracks a dump gives; fields that are not set match everything.
struct FlowFilter {
  Family family = Family::v4;
  Protocol protocol = Protocol::udp;
  std::optional<Address> original_source, original_destination, reply_destination;
  uint16_t original_destination_port = 0, reply_destination_port = 0; // 0 = any
  friend auto operator<=>(const FlowFilter&, const FlowFilter&) = default;
};

// Questions to ctnetlink over one socket.
class Ctnetlink {
 public:
  Ctnetlink();
  NetlinkSocket& socket() { return socket_; }
  // By the tuple of either direction.
  std::expected<ConntrackEntry, std::error_code> find_flow(const Tuple& either_tuple, uint16_t zone);
  // Whether conntrack lets TCP segments of any sequence number pass (BE_LIBERAL). By the tuple of either direction.
  std::expected<void, std::error_code> set_liberal(const Tuple& either_tuple, uint16_t zone, bool is_liberal);
  // The kernel filters when it can (5.8), else we do.
  std::expected<void, std::error_code> dump_flows(const FlowFilter& filter,
                                                  const std::function<void(const ConntrackEntry&)>& on_flow);
  // How many expectations of this network namespace went since it began, whatever took them; wraps.
  std::expected<uint32_t, std::error_code> count_gone_expectations();
  std::expected<void, std::error_code> dump_expectations(const std::function<void(const Expectation&)>& on_expectation);

 private:
  NetlinkSocket socket_;
};

} // namespace sipalg
