// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors, seen by dumps: which outside ports are in use, deleting those of closed doors
// and those that stand in the way of open ones.
//
// How it works. Dumps are filtered by the kernel but still walk the whole table (15 ms for 30,000 flows), so what
// one found is kept: `used` ports per (protocol, address) for two seconds, or longer where the dump itself took
// long (never more than a twentieth of the time goes into dumps). So are the ports of the router's own programs: asking
// for one alone costs as much as making its door. Ports given away in between are added by
// opened(), those of closed doors taken out by closed(): what still flows there goes with the next sweep, and a
// flow that ends at the router unanswered holds no port (who scans us would take them all).
// Closed doors are collected and swept together; one that was opened again meanwhile is left out.
// Strays: a packet that came before its door has a conntrack, which the packets behind it follow as long as they
// come, whatever stands in the nat maps since. What remote R sent to the outside endpoint O ends at the router; and
// as it has the tuple that a packet of inside endpoint I through the door would have, the kernel drops those too
// (nf_ct_resolve_clash). What I sent to R leaves by a port of the kernel's choice; and R's packets through the door
// come to I from a port that is not R's (get_unique_tuple in nf_nat_core.c). A last call's RTP that goes on, a
// phone whose RTP overtakes its 200, a remote that sends before its own do this. So opened doors are looked at
// twice: at once, unless such dumps took more than their share of the last second, and by the next sweep, which
// also finds packets that were on their way meanwhile.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "alg/base/instant.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/door_keeper.h"
#include "conntrack/door_store.h"
#include "conntrack/local_sockets.h"

namespace sipalg {

class DoorFlows {
 public:
  DoorFlows(Ctnetlink& conntrack, DoorStore& doors) : conntrack_(conntrack), doors_(doors) {}

  bool is_free(Protocol protocol, const Endpoint& outside);
  bool has_flow(const KernelDoor& door);
  void opened(uint32_t place); // is_open is set
  // is_open is not set any more. Its flows will be deleted unless it is `signalling`.
  void closed(uint32_t place);
  // Deletes what stands in the way of these doors, just opened, if there is time for dumps. Returns how many.
  std::size_t clear_strays(std::span<const KernelDoor> doors);
  bool has_work() const { return !closed_.empty() || !fresh_.empty(); }
  // Deletes the flows of all doors closed since the last sweep, and strays. Returns how many.
  std::size_t sweep();

 private:
  struct Ports {
    PortSet flows;   // original or reply destination of a living conntrack at the last dump
    PortSet given;   // handed out by us since
    PortSet sockets; // of programs of the router, at the last dump
    bool knows_sockets = false; // false: they are asked for one by one
    std::chrono::steady_clock::time_point until{};
  };
  Ports& ports(Protocol protocol, const Address& address);
  Ports* find_ports(Protocol protocol, const Address& address);
  bool is_open(const DoorKey& key) const;
  void forget_closed(const DoorKey& key);
  void swept(uint32_t place);
  bool is_closed(const ConntrackEntry& flow) const;
  bool is_stray(const ConntrackEntry& flow) const;
  bool ends_at_router(const ConntrackEntry& flow) const;
  bool leaves_elsewhere(const ConntrackEntry& flow) const;
  bool comes_from_elsewhere(const ConntrackEntry& flow) const;
  // Have `inside` and `remote` doors toward each other, one of them new?
  bool is_new_pair(const DoorKey& door, const Endpoint& remote) const;
  std::set<FlowFilter> filters_around(std::span<const KernelDoor> doors) const;
  std::set<FlowFilter> filters_of_work() const;
  template <typename Predicate>
  std::size_t delete_flows(const std::set<FlowFilter>& among, const Predicate& is_unwanted);

  Ctnetlink& conntrack_;
  DoorStore& doors_;
  LocalSockets sockets_;
  std::map<std::pair<Protocol, Address>, std::unique_ptr<Ports>> ports_;
  std::size_t translating_ = 0; // open doors that are more than pinholes; without any there are no strays
  std::vector<DoorHandle> closed_; // since the last sweep; those opened again meanwhile are swept already
  std::vector<DoorHandle> fresh_;  // opened since the last sweep: media doors, and inbound ones of SIP too
  PlaceIndex fresh_outside_;       // the inbound ones of them, by outside endpoint
  std::chrono::steady_clock::time_point next_look_{}; // when the looks for strays have kept to their share of time
};

} // namespace sipalg
