// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors.
#include "conntrack/door_flows.h"

#include <algorithm>
#include <linux/netfilter/nf_conntrack_common.h>

namespace sipalg {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds shortest_life{2};
constexpr int dump_share = 20; // dumps take at most one part of so many
constexpr std::chrono::seconds look_burst{1}; // looks for strays may use up the share of so long at once

// It ends at the router, and no program there answers. (A closed TCP port does, by a reset, which assures nothing.)
bool leads_nowhere(const ConntrackEntry& flow) {
  const auto answered = flow.original.protocol == Protocol::udp ? IPS_SEEN_REPLY : IPS_ASSURED;
  return flow.reply.source == flow.original.destination && (flow.status & answered) == 0;
}

} // namespace

DoorFlows::Ports* DoorFlows::find_ports(Protocol protocol, const Address& address) {
  const auto found = ports_.find({protocol, address});
  return found == ports_.end() ? nullptr : found->second.get();
}

DoorFlows::Ports& DoorFlows::ports(Protocol protocol, const Address& address) {
  auto& place = ports_[{protocol, address}];
  if (!place) place = std::make_unique<Ports>();
  const auto start = Clock::now();
  if (start < place->until) return *place;
  place->flows.reset();
  FlowFilter to_it{address.family(), protocol, {}, address, {}, 0, 0};
  FlowFilter back_to_it{address.family(), protocol, {}, {}, address, 0, 0};
  const auto mark_original = [&](const ConntrackEntry& e) {
    if (!leads_nowhere(e) && !is_closed(e)) place->flows.set(e.original.destination.port);
  };
  const auto mark_reply = [&](const ConntrackEntry& e) {
    if (!is_closed(e)) place->flows.set(e.reply.destination.port);
  };
  static_cast<void>(conntrack_.dump_flows(to_it, mark_original));
  static_cast<void>(conntrack_.dump_flows(back_to_it, mark_reply));
  place->knows_sockets = protocol == Protocol::udp && sockets_.find_udp(address, place->sockets);
  const auto end = Clock::now();
  const auto places = static_cast<Clock::rep>(ports_.size());  // each is dumped in its turn
  place->until = end + std::max<Clock::duration>(shortest_life, (end - start) * dump_share * places);
  return *place;
}

bool DoorFlows::is_free(Protocol protocol, const Endpoint& outside) {
  const Ports& used = ports(protocol, outside.address);
  if (used.flows.test(outside.port) || used.given.test(outside.port)) return false;
  return used.knows_sockets ? !used.sockets.test(outside.port) : !is_bound(protocol, outside);
}

bool DoorFlows::has_flow(const KernelDoor& door) {
  if (door.kind == KernelDoor::Kind::inbound)
    return ports(door.protocol, door.outside.address).flows.test(door.outside.port);
  bool found = false;
  const FlowFilter filter{door.outside.address.family(),
                          door.protocol,
                          door.inside.address,
                          door.outside.address,
                          {},
                          door.outside.port,
                          0};
  static_cast<void>(conntrack_.dump_flows(filter, [&](const ConntrackEntry&) { found = true; }));
  return found;
}

bool DoorFlows::is_open(const DoorKey& key) const {
  return doors_.any_of(key, [&](uint32_t place) { return doors_[place].is_open; });
}

// Its flows belong to a door again.
void DoorFlows::forget_closed(const DoorKey& key) {
  std::vector<uint32_t> closed;
  doors_.any_of(key, [&](uint32_t place) {
    if (!doors_[place].is_swept) closed.push_back(place);
    return false;
  });
  for (const uint32_t place : closed) swept(place);
}

void DoorFlows::swept(uint32_t place) {
  doors_[place].is_swept = true;
  if (DoorStore::is_over(doors_[place])) doors_.erase(place);
}

void DoorFlows::opened(uint32_t place) {
  const KernelDoor door = doors_.door(place);
  forget_closed(key_of(door));
  if (translates(door)) {
    ++translating_;
    fresh_outside_.insert(secret_hash(door.protocol, door.outside), place);
  }
  if (translates(door) || (!door.signalling && translating_ > 0)) {
    doors_[place].is_fresh = true;
    fresh_.push_back(doors_.handle(place));
  }
  if (door.kind != KernelDoor::Kind::inbound) return;
  if (Ports* known = find_ports(door.protocol, door.outside.address)) known->given.set(door.outside.port);
}

void DoorFlows::closed(uint32_t place) {
  const KernelDoor door = doors_.door(place);
  const bool ends = !door.signalling && !is_open(key_of(door));
  if (ends) {
    doors_[place].is_swept = false;
    closed_.push_back(doors_.handle(place));
  }
  if (translates(door)) {
    --translating_;
    if (doors_[place].is_fresh) fresh_outside_.erase(secret_hash(door.protocol, door.outside), place);
  }
  doors_[place].is_fresh = false;
  if (door.kind != KernelDoor::Kind::inbound) return;
  Ports* known = find_ports(door.protocol, door.outside.address);
  if (known == nullptr) return;
  known->given.reset(door.outside.port);
  if (ends) known->flows.reset(door.outside.port);
}

// Does the flow go through a closed door: remote first, inside first, or by a way out?
bool DoorFlows::is_closed(const ConntrackEntry& flow) const {
  using Kind = KernelDoor::Kind;
  const Protocol protocol = flow.original.protocol;
  const auto waits = [this](uint32_t place) { return !doors_[place].is_swept; };
  return doors_.any_of({Kind::inbound, protocol, flow.reply.source, flow.original.destination}, waits) ||
         doors_.any_of({Kind::inbound, protocol, flow.original.source, flow.reply.destination}, waits) ||
         doors_.any_of({Kind::way_out, protocol, {flow.original.source.address, 0}, flow.original.destination}, waits);
}

// --- strays ---

bool DoorFlows::is_new_pair(const DoorKey& door, const Endpoint& remote) const {
  const DoorKey way_out{KernelDoor::Kind::way_out, door.protocol, {door.inside.address, 0}, remote};
  bool is_fresh = false;
  const auto has_open_media = [&](const DoorKey& key) {
    bool has = false;
    doors_.any_of(key, [&](uint32_t place) {
      const DoorStore::Record& r = doors_[place];
      const bool is_it = r.is_open && !r.is_signalling;
      has = has || is_it;
      is_fresh = is_fresh || (is_it && r.is_fresh);
      return false;
    });
    return has;
  };
  return has_open_media(door) && has_open_media(way_out) && is_fresh;
}

// What came to the outside endpoint before the door.
bool DoorFlows::ends_at_router(const ConntrackEntry& flow) const {
  const Endpoint& outside = flow.original.destination;
  const auto lets_in = [&](uint32_t place) {
    if (doors_.protocol(place) != flow.original.protocol || doors_.outside(place) != outside) return false;
    const Network scope = doors_.door(place).scope;
    return scope.is_any() || scope.contains(flow.original.source.address);
  };
  return leads_nowhere(flow) && fresh_outside_.any_of(secret_hash(flow.original.protocol, outside), lets_in);
}

// What left towards the call's remote before the door. Other flows of the inside endpoint stay: a TURN server knows its
// client by the port (RFC 8656 section 3.2). A TCP connection stands whatever port it has.
bool DoorFlows::leaves_elsewhere(const ConntrackEntry& flow) const {
  const auto& [protocol, inside, remote] = flow.original;
  const Endpoint& leaves_by = flow.reply.destination;
  bool has_door = false, leaves_by_door = false;
  doors_.any_inbound_of(protocol, inside, [&](uint32_t place) {
    if (!doors_[place].is_open) return false;
    const Endpoint outside = doors_.outside(place);
    leaves_by_door = leaves_by_door || outside == leaves_by;
    has_door = has_door || (outside.address == leaves_by.address && is_new_pair({KernelDoor::Kind::inbound, protocol, inside, outside}, remote));
    return leaves_by_door;
  });
  return has_door && !leaves_by_door;
}

// What came through the door while a stray had its tuple: from the remote's address and not from its port.
bool DoorFlows::comes_from_elsewhere(const ConntrackEntry& flow) const {
  const auto& [protocol, remote, outside] = flow.original;
  const Endpoint& comes_from = flow.reply.destination;
  if (comes_from.address != remote.address || comes_from.port == remote.port) return false;
  return is_new_pair({KernelDoor::Kind::inbound, protocol, flow.reply.source, outside}, remote);
}

bool DoorFlows::is_stray(const ConntrackEntry& flow) const {
  if (ends_at_router(flow)) return true;
  return flow.original.protocol == Protocol::udp && (leaves_elsewhere(flow) || comes_from_elsewhere(flow));
}

std::set<FlowFilter> DoorFlows::filters_around(std::span<const KernelDoor> doors) const {
  std::set<FlowFilter> filters;
  for (const KernelDoor& door : doors) {
    const Address &inside = door.inside.address, &outside = door.outside.address;
    const auto add = [&](const std::optional<Address>& source, const std::optional<Address>& destination) {
      filters.insert({outside.family(), door.protocol, source, destination, {}, 0, 0});
    };
    if (translates(door)) add({}, outside);
    if (door.kind != KernelDoor::Kind::way_out || door.signalling || translating_ == 0) continue;
    add(inside, outside);
    add(outside, {});
  }
  return filters;
}

std::size_t DoorFlows::clear_strays(std::span<const KernelDoor> doors) {
  const auto start = Clock::now();
  if (start < next_look_) return 0;
  const std::size_t deleted =
      delete_flows(filters_around(doors), [&](const ConntrackEntry& flow) { return is_stray(flow); });
  next_look_ = std::max(next_look_, start - look_burst) + (Clock::now() - start) * dump_share;
  return deleted;
}

// --- deleting ---

template <typename Predicate>
std::size_t DoorFlows::delete_flows(const std::set<FlowFilter>& among, const Predicate& is_unwanted) {
  NetlinkBatch batch;
  for (const FlowFilter& filter : among)
    static_cast<void>(conntrack_.dump_flows(filter, [&](const ConntrackEntry& flow) {
      if (is_unwanted(flow)) put_flow_delete(batch, flow);
    }));
  return conntrack_.socket().exchange(batch).done();
}

std::set<FlowFilter> DoorFlows::filters_of_work() const {
  std::set<FlowFilter> all;
  for (const auto* handles : {&closed_, &fresh_})
    for (const DoorHandle handle : *handles)
      if (const auto place = doors_.find(handle))
        all.insert({doors_.outside(*place).address.family(), doors_.protocol(*place), {}, {}, {}, 0, 0});
  return all;
}

std::size_t DoorFlows::sweep() {
  const auto deleted = delete_flows(filters_of_work(), [&](const ConntrackEntry& flow) { return is_closed(flow) || is_stray(flow); });
  for (const DoorHandle handle : std::exchange(closed_, {}))
    if (const auto place = doors_.find(handle)) swept(*place);
  for (const DoorHandle handle : std::exchange(fresh_, {}))
    if (const auto place = doors_.find(handle)) doors_[*place].is_fresh = false;
  fresh_outside_.clear();
  return deleted;
}

} // namespace sipalg
