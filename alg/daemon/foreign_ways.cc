// SPDX-License-Identifier: GPL-2.0-or-later
// See foreign_ways.h.
#include "alg/daemon/foreign_ways.h"

namespace sipalg {
namespace {

constexpr std::chrono::milliseconds longest_move = limits::transaction_end;  // so long a request is repeated

bool is_response(const DatagramView& packet) { return packet.payload().starts_with("SIP/2.0 "); }

}  // namespace

void ForeignWays::note(const Address& inside_host, const Host& host) {
  if (hosts_.size() >= limits::registrations) hosts_.clear();
  hosts_[inside_host] = host;
}

bool ForeignWays::ends(uint32_t interface, const DatagramView& packet, const Flow& flow, Instant now) {
  // a flow that ends inside, too, is no uplink's; who answers has the address he was asked at
  if (packet.protocol != Protocol::udp || flow.receiver.is_translated()) return false;
  const Address &inside_host = flow.sender.inside.address, &source = packet.source.address;
  if (!flow.begun_by_sender && (is_response(packet) || !interfaces_.is_foreign(interface, source))) return false;
  const auto known = hosts_.find(inside_host);
  const Host* host = known != hosts_.end() && now <= known->second.until ? &known->second : nullptr;
  if (!interfaces_.is_foreign(interface, source)) {
    if (host == nullptr || !host->is_moving || host->interface != interface || !flow.is_new) return false;
    engine_.outside_address_lost(host->address, inside_host);
    hosts_.erase(known);
    return false;
  }
  const bool is_about_it = host != nullptr && host->interface == interface && host->address == source;
  if (is_about_it && !host->is_moving) return false;
  const bool had_door = engine_.close_doors_of(flow);
  if (!had_door && !is_about_it && !flow.begun_by_sender) return false;  // through a rule of the administrator's
  if (!had_door && flow.is_new) {
    if (is_about_it) engine_.outside_address_returned(source, inside_host);
    note(inside_host, {source, interface, false});
    return false;
  }
  flows_.end(packet, flow);
  moving_until_ = now + longest_move;
  note(inside_host, {source, interface, true, moving_until_});
  return true;
}

}  // namespace sipalg
