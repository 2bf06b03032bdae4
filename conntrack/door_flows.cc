// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors.
#include "conntrack/door_flows.h"

#include <algorithm>
#include <utility>
#include <linux/netfilter/nf_conntrack_common.h>

namespace sipalg {
namespace {

constexpr std::chrono::seconds shortest_life{2};
constexpr std::chrono::seconds ports_patience{2}; // so much older may used ports be, while they are looked for again
constexpr std::chrono::seconds look_burst{1}; // looks for strays may use up the share of so long at once

// It ends at the router, and no program there answers. (A closed TCP port does, by a reset, which assures nothing.)
bool leads_nowhere(const ConntrackEntry& flow) {
  const auto answered = flow.original.protocol == Protocol::udp ? IPS_SEEN_REPLY : IPS_ASSURED;
  return flow.reply.source == flow.original.destination && (flow.status & answered) == 0;
}

} // namespace

DoorFlows::Ports* DoorFlows::known_ports(Protocol protocol, const Address& address) {
  const auto found = ports_.find({protocol, address});
  return found == ports_.end() ? nullptr : found->second.get();
}

void DoorFlows::PortScan::add(const ConntrackEntry& flow) {
  const auto note = [this](uint16_t port, const Endpoint& end) {
    flows.set(port);
    ends.push_back(uint64_t{port} << 32 | secret_hash(protocol, end));
  };
  if (flow.original.destination.address == address && !leads_nowhere(flow)) note(flow.original.destination.port, flow.reply.source);
  if (flow.reply.destination.address == address) note(flow.reply.destination.port, flow.original.source);
}

void DoorFlows::PortScan::finish(Clock::duration its_share) {
  std::ranges::sort(ends);
  took = its_share;
  is_whole = true;
}

bool DoorFlows::PortScan::leads_only_to(const Endpoint& inside, uint16_t port) const {
  const auto [first, last] = std::ranges::equal_range(ends, uint64_t{port}, {}, [](uint64_t end) { return end >> 32; });
  return first != last && std::all_of(first, last, [mine = secret_hash(protocol, inside)](uint64_t end) { return static_cast<uint32_t>(end) == mine; });
}

// Of all addresses that are asked for: with many of them a dump for each would take seconds beside a hundred thousand calls.
DoorFlows::PortScans DoorFlows::scans_of(Protocol protocol, Family family) const {
  PortScans scans;
  for (const auto& [place, used] : ports_)
    if (place.first == protocol && place.second.family() == family) scans.push_back({protocol, place.second, {}, {}, {}, false, false, {}});
  return scans;
}

void DoorFlows::find_ports(Ctnetlink& conntrack, PortScans& scans) {
  const auto start = Clock::now();
  const Address& first = scans.front().address;
  const Protocol protocol = scans.front().protocol;
  const auto add = [&](const ConntrackEntry& flow) {
    for (PortScan& scan : scans) scan.add(flow);
  };
  if (scans.size() == 1) {
    static_cast<void>(conntrack.dump_flows({first.family(), protocol, {}, first, {}, 0, 0}, add));
    static_cast<void>(conntrack.dump_flows({first.family(), protocol, {}, {}, first, 0, 0}, add));
  } else {
    static_cast<void>(conntrack.dump_flows({first.family(), protocol, {}, {}, {}, 0, 0}, add));
  }
  for (PortScan& scan : scans) find_sockets(scan);
  const auto share = (Clock::now() - start) / static_cast<Clock::rep>(scans.size());
  for (PortScan& scan : scans) scan.finish(share);
}

void DoorFlows::find_sockets(PortScan& scan) {
  try {
    scan.knows_sockets = scan.protocol == Protocol::udp && LocalSockets().find_udp(scan.address, scan.sockets);
  } catch (const std::system_error&) {  // no socket to be had
    scan.knows_sockets = false;
  }
}

DoorFlows::Ports& DoorFlows::ports(Protocol protocol, const Address& address) {
  Ports* place = known_ports(protocol, address);
  if (place == nullptr) {
    auto fresh = std::make_unique<Ports>();
    find_closed_ports(protocol, address, fresh->closed);
    place = fresh.get();
    const std::lock_guard held(ports_mutex_);
    ports_[{protocol, address}] = std::move(fresh);
  }
  const auto now = Clock::now();
  if (now < place->until) return *place;
  if (now < place->until + ports_patience) {
    if (!is_busy()) start_port_scan(protocol, address.family());
    if (port_scan_ && worker_.is_idle()) take_ports(*std::exchange(port_scan_, nullptr));
    return *place;
  }
  PortScans scans = scans_of(protocol, address.family());
  find_ports(conntrack_, scans);
  take_ports(scans);
  return *place;
}

void DoorFlows::start_port_scan(Protocol protocol, Family family) {
  port_scan_ = std::make_shared<PortScans>(scans_of(protocol, family));
  worker_.run([scans = port_scan_](Ctnetlink& conntrack) { find_ports(conntrack, *scans); });
}

void DoorFlows::take_ports(PortScans& scans) {
  const auto places = static_cast<Clock::rep>(ports_.size()); // each is dumped in its turn
  const std::lock_guard held(ports_mutex_);
  for (PortScan& scan : scans) {
    if (!scan.is_whole) continue;
    Ports& place = *ports_[{scan.protocol, scan.address}];
    place.last = std::move(scan);
    place.until = Clock::now() + std::max<Clock::duration>(shortest_life, place.last.took * dump_share * places);
  }
}

// For an address that is asked for the first time.
void DoorFlows::find_closed_ports(Protocol protocol, const Address& address, PortSet& closed) const {
  for (const auto* handles : {&closed_, &sweeping_closed_})
    for (const DoorHandle handle : *handles) {
      const auto door = doors_.find(handle);
      if (!door || doors_[*door].is_swept || doors_.is_way_out(*door) || doors_.protocol(*door) != protocol) continue;
      if (const Endpoint outside = doors_.outside(*door); outside.address == address) closed.set(outside.port);
    }
}

bool DoorFlows::is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) {
  const Ports& used = ports(protocol, outside.address);
  if (used.given.test(outside.port)) return false;
  if (used.has_flow(outside.port) && !used.last.leads_only_to(inside, outside.port)) return false;
  return used.last.knows_sockets ? !used.last.sockets.test(outside.port) : !is_bound(protocol, outside);
}

bool DoorFlows::is_surely_free(Protocol protocol, const Endpoint& outside) const {
  const auto now = Clock::now();
  const std::lock_guard held(ports_mutex_);
  const auto found = ports_.find({protocol, outside.address});
  if (found == ports_.end()) return false;
  const Ports& used = *found->second;
  return now < used.until && used.last.knows_sockets && !used.last.sockets.test(outside.port) && !used.has_flow(outside.port);
}

// Without NAT what came to the inside host without an answer is media all the same; with it it ends at the router.
bool DoorFlows::has_flow(const KernelDoor& door) {
  const InUse& used = in_use(door.protocol, door.outside.address.family());
  if (door.kind == KernelDoor::Kind::way_out)
    return std::ranges::binary_search(used.ways, hash_of_way(door.inside.address, door.outside));
  const uint64_t end = std::hash<Endpoint>{}(door.outside);
  return std::ranges::binary_search(used.ends, end) || (!translates(door) && std::ranges::binary_search(used.unanswered_ends, end));
}

uint64_t DoorFlows::hash_of_way(const Address& host, const Endpoint& remote) {
  return hash_of(remote.address, hash_of(host, remote.port));
}

// One dump for all that are asked for in a while: thousands of calls may fall silent together. What flows through closed doors
// is nobody's.
const DoorFlows::InUse& DoorFlows::in_use(Protocol protocol, Family family) {
  InUse& used = in_use_[{protocol, family}];
  const auto start = Clock::now();
  if (start < used.until) return used;
  used = {};
  static_cast<void>(conntrack_.dump_flows({family, protocol, {}, {}, {}, 0, 0}, [&](const ConntrackEntry& flow) {
    if (is_closed(flow)) return;
    used.ways.push_back(hash_of_way(flow.original.source.address, flow.original.destination));
    (leads_nowhere(flow) ? used.unanswered_ends : used.ends).push_back(std::hash<Endpoint>{}(flow.original.destination));
    used.ends.push_back(std::hash<Endpoint>{}(flow.reply.destination));
  }));
  for (auto* hashes : {&used.ways, &used.ends, &used.unanswered_ends}) std::ranges::sort(*hashes);
  const auto end = Clock::now();
  used.until = end + std::max<Clock::duration>(shortest_life, (end - start) * dump_share);
  return used;
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
  if (!doors_.is_way_out(place)) {
    const Endpoint outside = doors_.outside(place);
    if (Ports* known = known_ports(doors_.protocol(place), outside.address)) {
      const std::lock_guard held(ports_mutex_);
      known->closed.reset(outside.port);
      known->last.flows.reset(outside.port);
    }
  }
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
    mark(door);
  }
  if (door.kind != KernelDoor::Kind::inbound) return;
  Ports* known = known_ports(door.protocol, door.outside.address);
  if (known == nullptr) return;
  const std::lock_guard held(ports_mutex_);
  known->given.set(door.outside.port);
}

void DoorFlows::closed(uint32_t place) {
  const KernelDoor door = doors_.door(place);
  leave(place, door, !door.signalling && !is_open(key_of(door)));
}

void DoorFlows::left(uint32_t place) { leave(place, doors_.door(place), false); }

void DoorFlows::leave(uint32_t place, const KernelDoor& door, bool ends) {
  if (ends) {
    doors_[place].is_swept = false;
    closed_.push_back(doors_.handle(place));
    if (!doors_[place].is_fresh || sweep_) mark(door); // else opened() has, for the same sweep
  }
  if (translates(door)) {
    --translating_;
    if (doors_[place].is_fresh) fresh_outside_.erase(secret_hash(door.protocol, door.outside), place);
  }
  doors_[place].is_fresh = false;
  if (door.kind != KernelDoor::Kind::inbound) return;
  Ports* known = known_ports(door.protocol, door.outside.address);
  if (known == nullptr) return;
  const std::lock_guard held(ports_mutex_);
  known->given.reset(door.outside.port);
  if (ends) known->closed.set(door.outside.port);
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
      const bool is_it = r.is_open && !doors_.is_signalling(place);
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
  if (worker_.has_thread() || start < next_look_) return 0;
  NetlinkBatch batch;
  for (const FlowFilter& filter : filters_around(doors))
    static_cast<void>(conntrack_.dump_flows(filter, [&](const ConntrackEntry& flow) {
      if (is_stray(flow)) put_flow_delete(batch, flow);
    }));
  const std::size_t deleted = conntrack_.socket().exchange(batch).done();
  next_look_ = std::max(next_look_, start - look_burst) + (Clock::now() - start) * dump_share;
  return deleted;
}

} // namespace sipalg
