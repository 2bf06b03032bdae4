// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors.
#include "conntrack/door_flows.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sipalg {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds shortest_life{2};
constexpr int dump_share = 20; // dumps take at most one part of so many

socklen_t socket_address(const Endpoint& endpoint, sockaddr_storage& storage) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.family() == Family::v6) {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(endpoint.port);
    std::memcpy(&a.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&storage, &a, sizeof a);
    return sizeof a;
  }
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(endpoint.port);
  std::memcpy(&a.sin_addr, bytes.data(), bytes.size());
  std::memcpy(&storage, &a, sizeof a);
  return sizeof a;
}

} // namespace

bool is_bound(Protocol protocol, const Endpoint& endpoint) {
  const int family = endpoint.address.family() == Family::v6 ? AF_INET6 : AF_INET;
  const int fd = socket(family, (protocol == Protocol::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_storage storage{};
  const socklen_t length = socket_address(endpoint, storage);
  const void* address = &storage;
  const bool taken = bind(fd, static_cast<const sockaddr*>(address), length) < 0 && errno == EADDRINUSE;
  ::close(fd);
  return taken;
}

DoorFlows::Key DoorFlows::key_of(const KernelDoor& door) {
  const Endpoint inside = door.kind == KernelDoor::Kind::way_out ? Endpoint{door.inside.address, 0} : door.inside;
  return {door.kind, door.protocol, inside, door.outside};
}

DoorFlows::Ports& DoorFlows::ports(Protocol protocol, const Address& address) {
  auto& place = ports_[{protocol, address}];
  if (!place) place = std::make_unique<Ports>();
  const auto start = Clock::now();
  if (start < place->until) return *place;
  place->flows.reset();
  FlowFilter to_it{address.family(), protocol, {}, address, {}, 0, 0};
  FlowFilter back_to_it{address.family(), protocol, {}, {}, address, 0, 0};
  const auto mark_original = [&](const ConntrackEntry& e) { place->flows.set(e.original.destination.port); };
  const auto mark_reply = [&](const ConntrackEntry& e) { place->flows.set(e.reply.destination.port); };
  static_cast<void>(conntrack_.dump_flows(to_it, mark_original));
  static_cast<void>(conntrack_.dump_flows(back_to_it, mark_reply));
  const auto end = Clock::now();
  place->until = end + std::max<Clock::duration>(shortest_life, (end - start) * dump_share);
  return *place;
}

bool DoorFlows::is_free(Protocol protocol, const Endpoint& outside) {
  const Ports& used = ports(protocol, outside.address);
  return !used.flows.test(outside.port) && !used.given.test(outside.port) && !is_bound(protocol, outside);
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

void DoorFlows::opened(const KernelDoor& door) {
  ++open_[key_of(door)];
  if (door.kind != KernelDoor::Kind::inbound) return;
  const auto found = ports_.find({door.protocol, door.outside.address});
  if (found != ports_.end()) found->second->given.set(door.outside.port);
}

void DoorFlows::closed(const KernelDoor& door) {
  const Key key = key_of(door);
  if (const auto found = open_.find(key); found != open_.end() && --found->second == 0) open_.erase(found);
  if (!door.signalling) closed_.insert(key);
  if (door.kind != KernelDoor::Kind::inbound) return;
  const auto found = ports_.find({door.protocol, door.outside.address});
  if (found != ports_.end()) found->second->given.reset(door.outside.port);
}

// Does the flow go through a closed door: remote first, inside first, or by a way out?
bool DoorFlows::is_closed(const ConntrackEntry& flow) const {
  using Kind = KernelDoor::Kind;
  const Protocol protocol = flow.original.protocol;
  return closed_.contains({Kind::inbound, protocol, flow.reply.source, flow.original.destination}) ||
         closed_.contains({Kind::inbound, protocol, flow.original.source, flow.reply.destination}) ||
         closed_.contains({Kind::way_out, protocol, {flow.original.source.address, 0}, flow.original.destination});
}

std::size_t DoorFlows::sweep() {
  std::erase_if(closed_, [&](const Key& key) { return open_.contains(key); });
  std::set<std::pair<Protocol, Family>> kinds;
  for (const Key& key : closed_) kinds.emplace(key.protocol, key.outside.address.family());
  NetlinkBatch batch;
  for (const auto& [protocol, family] : kinds) {
    const FlowFilter filter{family, protocol, {}, {}, {}, 0, 0};
    static_cast<void>(conntrack_.dump_flows(filter, [&](const ConntrackEntry& flow) {
      if (is_closed(flow)) put_flow_delete(batch, flow);
    }));
  }
  closed_.clear();
  const auto results = conntrack_.socket().exchange(batch);
  return static_cast<std::size_t>(std::count(results.begin(), results.end(), std::error_code{}));
}

} // namespace sipalg
