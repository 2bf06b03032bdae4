// SPDX-License-Identifier: GPL-2.0-or-later
// From a queued packet to its Flow.
#include "conntrack/flow_lookup.h"

#include <algorithm>
#include <linux/netfilter/nf_conntrack_common.h>
#include <span>

namespace sipalg {
namespace {

// The most zones a router is expected to use for SIP; each costs a lookup when a flow is in none of the others.
constexpr std::size_t most_zones = 8;

Flow from_original_side(const Tuple& original, const Tuple& reply, uint16_t zone) {
  return {original.protocol, {original.source, reply.destination}, {reply.source, original.destination}, zone};
}

Flow turned(const Flow& flow) { return {flow.protocol, flow.receiver, flow.sender, flow.zone, !flow.begun_by_sender}; }

// What the header of the other direction looks like at postrouting.
Tuple header_of(const Flow& flow) { return {flow.protocol, flow.sender.outside, flow.receiver.inside}; }

} // namespace

std::string_view name_of(FlowError error) {
  switch (error) {
  case FlowError::no_conntrack:
    return "no-conntrack";
  case FlowError::not_inverse:
    return "not-inverse";
  case FlowError::kernel:
    return "kernel";
  }
  return "?";
}

std::expected<Flow, FlowError> flow_of(const ConntrackEntry& entry, const Tuple& header) {
  const Flow flow = from_original_side(entry.original, entry.reply, entry.zone);
  if (header == entry.reply.inverse()) return flow;
  if (header == entry.original.inverse()) return turned(flow);
  return std::unexpected(FlowError::not_inverse);
}

std::expected<Flow, FlowError> FlowLookup::find(const QueuedPacket& packet, const DatagramView& header, Instant now) {
  const Tuple tuple{header.protocol, header.source, header.destination};
  if (packet.conntrack) {
    auto flow = flow_of(packet.conntrack->entry, tuple);
    if (flow) flow->is_new = (packet.conntrack->entry.status & IPS_CONFIRMED) == 0;
    note_helper(packet.conntrack->entry);
    return flow;
  }
  if (packet.from_births && births_ != nullptr) return from_births(tuple);
  if (const Flow* flow = cache_.find(tuple, now)) return *flow;
  return from_kernel(tuple, now);
}

// The reply tuple of a new flow is the inverse of its header: NAT is done, nobody has answered. Unless the source
// differs although conntrack did not translate it: then somebody else did.
std::expected<Flow, FlowError> FlowLookup::from_births(const Tuple& header) {
  cache_.erase(header);
  const auto birth = births_->find(header);
  if (!birth) return std::unexpected(FlowError::no_conntrack);
  const bool source_changed = birth->original.source != header.source;
  if (source_changed && (birth->status & IPS_SRC_NAT) == 0) return std::unexpected(FlowError::not_inverse);
  Flow flow = from_original_side(birth->original, header.inverse(), birth->zone);
  flow.is_new = true;
  remember_zone(flow.zone);
  cache_.erase(header_of(turned(flow)));
  return flow;
}

std::expected<Flow, FlowError> FlowLookup::from_kernel(const Tuple& header, Instant now) {
  for (const uint16_t zone : zones_) {
    const auto entry = conntrack_.find_flow(header.inverse(), zone);
    if (!entry && entry.error() != errno_code(ENOENT)) return std::unexpected(FlowError::kernel);
    if (!entry) continue;
    note_helper(*entry);
    const auto flow = flow_of(*entry, header);
    if (flow) cache_.insert(header, *flow, now, now + lifetime);
    return flow;
  }
  if (births_ != nullptr && mixed_) return from_births(header);
  return std::unexpected(FlowError::no_conntrack);
}

void FlowLookup::end(const DatagramView& header, const Flow& flow) {
  if (flow.is_new) return;
  const Tuple tuple{header.protocol, header.source, header.destination};
  cache_.erase(tuple), cache_.erase(header_of(turned(flow)));
  const auto entry = conntrack_.find_flow(tuple.inverse(), flow.zone);
  if (!entry) return;  // gone already
  NetlinkBatch batch;
  put_flow_delete(batch, *entry);
  static_cast<void>(conntrack_.socket().exchange(batch));
}

void FlowLookup::end_translated(const Address& lost) {
  std::vector<ConntrackEntry> found;
  const auto note = [&](const ConntrackEntry& flow) {
    const bool is_translated = flow.original.source.address != flow.reply.destination.address ||
                               flow.original.destination.address != flow.reply.source.address;
    if (is_translated) found.push_back(flow);
  };
  FlowFilter by_source{lost.family(), Protocol::udp, {}, {}, {}}, by_destination = by_source;
  by_source.reply_destination = by_destination.original_destination = lost;
  for (const FlowFilter& filter : {by_source, by_destination}) static_cast<void>(conntrack_.dump_flows(filter, note));
  constexpr std::size_t at_once = 500;
  for (std::span<const ConntrackEntry> rest = found; !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), at_once));
    rest = rest.subspan(some.size());
    NetlinkBatch batch;
    for (const ConntrackEntry& flow : some) put_flow_delete(batch, flow);
    static_cast<void>(conntrack_.socket().exchange(batch));
  }
}

void FlowLookup::note_helper(const ConntrackEntry& entry) {
  if (entry.has_helper) saw_helper_.store(true, std::memory_order_relaxed);
}

void FlowLookup::remember_zone(uint16_t zone) {
  if (std::find(zones_.begin(), zones_.end(), zone) != zones_.end()) return;
  if (zones_.size() >= most_zones) zones_.erase(zones_.begin() + 1);
  zones_.push_back(zone);
}

} // namespace sipalg
