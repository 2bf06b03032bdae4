// SPDX-License-Identifier: GPL-2.0-or-later
// From a queued packet to its Flow: who is inside, and which addresses did NAT pick?
//
// How it works. At postrouting 150 the header of a packet is the inverse of the reply tuple (original direction) or of
// the original tuple (reply direction): the inverse of the header is always one of the two tuples.
//
//     NFQA_CT is there             read it
//     packet from the births queue read the births map, forget what the cache has for both directions of it
//     else                         cache, or CT_GET by the inverse of the header
//
// Why the cache can not show a dead flow: tuples never change while a conntrack lives, and the first packet of any
// newer flow with the same header comes through the births queue, ahead of its later packets (one socket, one order),
// and takes the entries away; what a birth says is itself not kept, the next packet asks the kernel. Births can be lost
// (queue full, fail-open), so entries also end after `lifetime`. The births map alone can be behind: a second flow born
// with the header of another that was born and deleted within the last 200 ms is taken for that one, for these packets.
// When the header is the inverse of no tuple, somebody translated it without conntrack (NPT): error, pass unchanged.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "alg/base/instant.h"
#include "alg/packet/datagram.h"
#include "conntrack/births.h"
#include "conntrack/flow.h"
#include "conntrack/flow_cache.h"
#include "conntrack/queue.h"

namespace sipalg {

enum class FlowError : uint8_t { no_conntrack, not_inverse, kernel };
std::string_view name_of(FlowError error);

class FlowLookup {
 public:
  static constexpr std::chrono::seconds lifetime{5};

  // `births` is null when the kernel gives NFQA_CT with every packet. `mixed`: the queue rules are an administrator's, who may
  // know nothing of a queue for births.
  FlowLookup(Ctnetlink& conntrack, Births* births, bool mixed = false) : conntrack_(conntrack), births_(births), mixed_(mixed) {}

  std::expected<Flow, FlowError> find(const QueuedPacket& packet, const DatagramView& header, Instant now);
  // The conntrack of this packet's flow is deleted: what comes next gets another. Of an unconfirmed one the verdict decides.
  void end(const DatagramView& header, const Flow& flow);
  // The router does not have this address any more: UDP flows that were translated to it are deleted. The kernel does so with those that
  // masquerade made; one that a door made would carry the lost address for as long as anything is sent.
  void end_translated(const Address& lost);
  // A rule has given a flow that was looked up a helper of the kernel's, which is its SIP helper then. Any thread's.
  bool saw_helper() const { return saw_helper_; }

 private:
  std::expected<Flow, FlowError> from_births(const Tuple& header);
  std::expected<Flow, FlowError> from_kernel(const Tuple& header, Instant now);
  void remember_zone(uint16_t zone);
  void note_helper(const ConntrackEntry& entry);

  Ctnetlink& conntrack_;
  Births* births_;
  bool mixed_;
  FlowCache cache_;
  std::atomic<bool> saw_helper_ = false;
  std::vector<uint16_t> zones_{0}; // zones seen: a flow can not be looked up without its zone
};

// The flow of a packet with this header; not_inverse when the header belongs to neither direction.
std::expected<Flow, FlowError> flow_of(const ConntrackEntry& entry, const Tuple& header);

} // namespace sipalg
