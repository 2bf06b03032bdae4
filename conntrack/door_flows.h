// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors, seen by dumps: which outside ports are in use, deleting those of closed doors
// and those that stand in the way of open ones.
//
// How it works. Dumps are filtered by the kernel but still walk the whole table (15 ms for 30,000 flows), so what
// one found is kept: `used` ports per (protocol, address) for two seconds, or longer where the dump itself took
// long (never more than a twentieth of the time goes into dumps). So are the ports of the router's own programs: asking
// for one alone costs as much as making its door. Ports given away in between are added by opened(), those of closed
// doors taken out by closed(): what still flows there goes with the next sweep, and a flow that ends at the router
// unanswered holds no port (who scans us would take them all).
// Dumps that nobody has to wait for are left to a worker (flow_worker.h): sweeps, which tell the ports in use, too, and
// ports that are asked for again and again. The kernel lets no other conntrack request in until the first part of a dump
// is full, so it is best to ask for what is found soon: everything of a protocol, not one address. A sweep's worker
// knows the doors by a set of hashes; what it finds is judged by go_on(), by the doors as they are then, and deleted by
// id, so a flow that has changed meanwhile is not hit.
// Closed doors are collected and swept together; one that was opened again meanwhile is left out.
// Strays: a packet that came before its door has a conntrack, which the packets behind it follow as long as they
// come, whatever stands in the nat maps since. What remote R sent to the outside endpoint O ends at the router; and
// as it has the tuple that a packet of inside endpoint I through the door would have, the kernel drops those too
// (nf_ct_resolve_clash). What I sent to R leaves by a port of the kernel's choice; and R's packets through the door
// come to I from a port that is not R's (get_unique_tuple in nf_nat_core.c). A last call's RTP that goes on, a
// phone whose RTP overtakes its 200, a remote that sends before its own do this. So opened doors are looked at
// twice: at once, unless such dumps took more than their share of the last second, and by the next sweep, which also
// finds packets that were on their way meanwhile. With a worker the first look is a sweep that begins at once, when few
// doors were opened since the last one (it is over in some ten milliseconds); where calls come fast, opening waits for
// dumps, so there is one a second.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "alg/base/instant.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/door_keeper.h"
#include "conntrack/door_store.h"
#include "conntrack/flow_worker.h"
#include "conntrack/local_sockets.h"

namespace sipalg {

class DoorFlows {
 public:
  DoorFlows(Ctnetlink& conntrack, DoorStore& doors, bool has_thread) : conntrack_(conntrack), doors_(doors), worker_(has_thread) {}

  bool is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside);
  bool is_surely_free(Protocol protocol, const Endpoint& outside) const; // by what dumps told; any thread's
  bool has_flow(const KernelDoor& door);
  void opened(uint32_t place); // is_open is set
  // is_open is not set any more. Its flows will be deleted unless it is `signalling`.
  void closed(uint32_t place);
  void left(uint32_t place); // the same, and its flows go on
  // Deletes what stands in the way of these doors, just opened, if there is time for dumps and no worker. Returns how many.
  std::size_t clear_strays(std::span<const KernelDoor> doors);
  // A sweep deletes the flows of all doors closed since the last one, and strays. begin_sweep() starts its dumps, when
  // not busy; go_on() does a slice of the rest when they are there, and returns how many flows it deleted.
  bool has_work() const { return !closed_.empty() || !fresh_.empty(); }
  bool is_busy() const { return sweep_ != nullptr || port_scan_ != nullptr; }
  bool is_waiting() const { return !worker_.is_idle(); } // for the dumps
  void begin_sweep();
  std::size_t go_on();
  std::size_t finish(); // all that is left of it, waiting for the dumps
  std::chrono::milliseconds pause() const; // from the last sweep's begin to the next one's

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int dump_share = 20; // dumps take at most one part of so many
  // What one dump found of an address.
  struct PortScan {
    Protocol protocol;
    Address address;
    PortSet flows;              // original or reply destination of a living conntrack
    std::vector<uint64_t> ends; // of these: the port and a hash of the endpoint it leads to, sorted
    PortSet sockets;            // of programs of the router
    bool knows_sockets = false; // false: they are asked for one by one
    bool is_whole = false;      // false: something went wrong on the way
    Clock::duration took{};     // its share of the dump
    void add(const ConntrackEntry& flow); // of that protocol
    void finish(Clock::duration its_share);
    bool leads_only_to(const Endpoint& inside, uint16_t port) const;
  };
  using PortScans = std::vector<PortScan>; // of one protocol and family: one dump tells them all
  struct Ports {
    PortScan last{};
    PortSet given;  // handed out by us since
    PortSet closed; // what flows there is no door's any more, and goes with the next sweep
    Clock::time_point until{};
    bool has_flow(uint16_t port) const { return given.test(port) || (last.flows.test(port) && !closed.test(port)); }
  };
  // What conntracks there were at the last dump, as sorted hashes: which hosts sent to which endpoints, and which endpoints
  // something came to.
  struct InUse {
    std::vector<uint64_t> ways, ends, unanswered_ends;
    Clock::time_point until{};
  };
  static uint64_t hash_of_way(const Address& host, const Endpoint& remote);
  const InUse& in_use(Protocol protocol, Family family);
  struct Sweep {
    explicit Sweep(std::size_t expected_doors);
    std::array<std::array<bool, 2>, 2> is_about{}; // [TCP][IPv6]
    std::vector<uint64_t> doors;                   // bits by hashes of their endpoints
    std::vector<ConntrackEntry> found;
    std::vector<PortScan> ports; // the same dump tells them for every address that is asked for
    Clock::duration took{};
    void mark(Protocol protocol, const Endpoint& endpoint);
    bool has(Protocol protocol, const Endpoint& endpoint) const;
    bool may_be_a_doors(const ConntrackEntry& flow) const;
  };
  Ports& ports(Protocol protocol, const Address& address);
  PortScans scans_of(Protocol protocol, Family family) const;
  static void find_ports(Ctnetlink& conntrack, PortScans& scans);
  static void find_sockets(PortScan& scan);
  void start_port_scan(Protocol protocol, Family family);
  void take_ports(PortScans& scans);
  void find_closed_ports(Protocol protocol, const Address& address, PortSet& closed) const;
  void leave(uint32_t place, const KernelDoor& door, bool ends);
  void mark(const KernelDoor& door);
  static void dump(Ctnetlink& conntrack, Sweep& sweep);
  std::size_t judge_slice();
  void forget_slice();
  Ports* known_ports(Protocol protocol, const Address& address);
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
  Ctnetlink& conntrack_;
  DoorStore& doors_;
  mutable std::mutex ports_mutex_; // of ports_ and what is in it, for is_surely_free(); held for a few instructions
  std::map<std::pair<Protocol, Address>, std::unique_ptr<Ports>> ports_;
  std::map<std::pair<Protocol, Family>, InUse> in_use_;
  std::size_t translating_ = 0; // open doors that are more than pinholes; without any there are no strays
  std::vector<DoorHandle> closed_; // since the last sweep began; those opened again meanwhile are swept already
  std::vector<DoorHandle> fresh_;  // opened since then: media doors, and inbound ones of SIP too
  std::vector<DoorHandle> sweeping_closed_, sweeping_fresh_; // what the sweep that runs is about
  PlaceIndex fresh_outside_;                                 // the inbound ones of both, by outside endpoint
  Clock::time_point next_look_{}; // when the looks for strays have kept to their share of time
  std::chrono::milliseconds last_sweep_took_{};
  std::size_t last_sweep_doors_ = 0;
  // Of the worker's job; at most one is there.
  std::shared_ptr<Sweep> sweep_, next_sweep_;
  std::shared_ptr<PortScans> port_scan_;
  FlowWorker worker_;
};

} // namespace sipalg
