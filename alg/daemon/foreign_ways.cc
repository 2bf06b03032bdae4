// SPDX-License-Identifier: GPL-2.0-or-later
// See foreign_ways.h.
#include "alg/daemon/foreign_ways.h"

namespace sipalg {

constexpr std::chrono::milliseconds longest_move = limits::transaction_end;  // so long a request is repeated

void ForeignWays::forget(Hosts::iterator host) {
  moving_ -= host->second.is_moving ? 1 : 0;
  hosts_.erase(host);
}

void ForeignWays::note(const Address& inside_host, const Host& host) {
  if (const auto known = hosts_.find(inside_host); known != hosts_.end()) forget(known);
  if (hosts_.size() >= limits::registrations) hosts_.clear(), moving_ = 0;
  hosts_.emplace(inside_host, host);
  moving_ += host.is_moving ? 1 : 0;
}

bool ForeignWays::ends(uint32_t interface, const DatagramView& packet, const Flow& flow, Instant now) {
  // a flow that ends inside, too, is no uplink's; what a remote began has the address it was asked at
  if (packet.protocol != Protocol::udp || !flow.begun_by_sender || flow.receiver.is_translated()) return false;
  const Address &inside_host = flow.sender.inside.address, &source = packet.source.address;
  auto known = hosts_.find(inside_host);
  if (known != hosts_.end() && known->second.is_moving && now > known->second.since + longest_move) forget(known), known = hosts_.end();
  const Host* host = known != hosts_.end() ? &known->second : nullptr;
  if (!interfaces_.is_foreign(interface, source)) {
    if (host == nullptr || !host->is_moving || host->interface != interface || !flow.is_new) return false;
    engine_.host_moved(inside_host, host->address);
    forget(known);
    return false;
  }
  const bool is_about_it = host != nullptr && host->interface == interface && host->address == source;
  if (is_about_it && !host->is_moving) return false;
  if (!engine_.close_doors_of(flow) && flow.is_new) {
    if (is_about_it) engine_.host_stayed(inside_host, source);
    note(inside_host, {source, interface, false, now});
    return false;
  }
  flows_.end(packet, flow);
  note(inside_host, {source, interface, true, now});
  return true;
}

}  // namespace sipalg
