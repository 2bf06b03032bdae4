// SPDX-License-Identifier: GPL-2.0-or-later
// The router's own addresses, the networks behind it, MTUs and uplinks, kept up to date by rtnetlink.
//
// How it works. At start and after each change everything is dumped anew: addresses, routes, links (a router has few).
// Inside networks are those reached through interfaces without a default route, in whichever routing table; unless it shows that the
// kernel translates what goes there (a provider's line or a tunnel with routes of its own).
// An uplink is *in use* when the best default route of some table and family leads there (several, where it has several next hops);
// it is *idle* when it has a default route and none of the best, or had one and lost it. An idle uplink's addresses are foreign on
// those in use: what leaves there with one of them finds no way back. Where several are in use at once nothing is foreign.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "alg/base/endpoint.h"
#include "conntrack/netlink.h"

namespace sipalg {

// What packets ask about interfaces, by number.
class Interfaces {
 public:
  uint32_t mtu(uint32_t interface) const; // 1500 when unknown
  bool is_foreign(uint32_t interface, const Address& source) const {
    return !foreign_.empty() && foreign_.contains({interface, source});
  }
  void set_mtu(uint32_t interface, uint32_t mtu) { mtus_[interface] = mtu; }
  void set_foreign(uint32_t interface, const Address& source) { foreign_.insert({interface, source}); }
  friend bool operator==(const Interfaces&, const Interfaces&) = default;

 private:
  std::map<uint32_t, uint32_t> mtus_;
  std::set<std::pair<uint32_t, Address>> foreign_;
};

class Links {
 public:
  Links(); // throws std::system_error

  const std::set<Address>& own_addresses() const { return own_; }
  bool is_own(const Address& address) const { return own_.contains(address); }
  const std::vector<Network>& inside_networks() const { return inside_; } // sorted, without link-local and loopback
  const Interfaces& interfaces() const { return interfaces_; }

  // The kernel translates toward this address: the interface that leads there leads outside, as long as it is there. True: so it was
  // not known.
  bool note_outside(const Address& address);

  int event_fd() const { return events_.fd(); }
  // True: something of these is another now. Everything is read anew, at once for links, addresses and default routes; for other routes,
  // which a routing daemon may have by the hundred thousand, and change all the time, a twentieth of the time at most: to be called again
  // now and then.
  bool on_events();

 private:
  struct Route {
    Network network;
    uint32_t table = 0, metric = 0;
    std::vector<uint32_t> interfaces;
  };
  void read();
  void on_address(const nlmsghdr& message);
  void on_link(const nlmsghdr& message);
  static uint32_t on_route(const nlmsghdr& message, std::vector<Route>& routes); // the nexthop object that has its interfaces, or 0
  void find_inside();
  void find_foreign();
  void dump(uint16_t type, const NetlinkSocket::OnMessage& on_message);

  NetlinkSocket events_;
  NetlinkSocket socket_;
  std::set<Address> own_;
  std::vector<Network> inside_;
  Interfaces interfaces_;
  std::map<uint32_t, std::set<Address>> addresses_; // of each interface
  std::set<uint32_t> loopbacks_;
  std::set<uint32_t> uplinks_; // that have a default route, or had one
  std::set<uint32_t> translated_; // the kernel does, toward what they lead to
  std::vector<Route> routes_;
  bool has_news_ = false; // not read yet
  std::chrono::steady_clock::time_point next_read_{};
};

} // namespace sipalg
