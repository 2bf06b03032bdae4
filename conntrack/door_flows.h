// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors, seen by dumps: which outside ports are in use, and deleting those of closed
// doors.
//
// How it works. Dumps are filtered by the kernel but still walk the whole table (15 ms for 30,000 flows), so what one
// found is kept: `used` ports per (protocol, address) for two seconds, or longer where the dump itself took long
// (never more than a twentieth of the time goes into dumps). Ports given away in between are added by note().
// Closed doors are collected and swept together; one that was opened again meanwhile is left out.
#pragma once
#include <bitset>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "alg/base/instant.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/door_keeper.h"

namespace sipalg {

class DoorFlows {
 public:
  explicit DoorFlows(Ctnetlink& conntrack) : conntrack_(conntrack) {}

  bool is_free(Protocol protocol, const Endpoint& outside);
  bool has_flow(const KernelDoor& door);
  void opened(const KernelDoor& door);
  void closed(const KernelDoor& door); // its flows will be deleted unless it is `signalling`
  bool has_closed() const { return !closed_.empty(); }
  // Deletes the flows of all doors closed since the last sweep. Returns how many.
  std::size_t sweep();

 private:
  // Enough to say which flows are a door's.
  struct Key {
    KernelDoor::Kind kind;
    Protocol protocol;
    Endpoint inside, outside;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Ports {
    std::bitset<65536> flows; // original or reply destination of a conntrack at the last dump
    std::bitset<65536> given; // handed out by us since
    std::chrono::steady_clock::time_point until{};
  };
  static Key key_of(const KernelDoor& door);
  Ports& ports(Protocol protocol, const Address& address);
  bool is_closed(const ConntrackEntry& flow) const;

  Ctnetlink& conntrack_;
  std::map<std::pair<Protocol, Address>, std::unique_ptr<Ports>> ports_;
  std::map<Key, uint32_t> open_;
  std::set<Key> closed_;
};

// A socket of the router holds this endpoint. False for addresses that are not the router's.
bool is_bound(Protocol protocol, const Endpoint& endpoint);

} // namespace sipalg
