// SPDX-License-Identifier: GPL-2.0-or-later
// The router's own addresses, the networks behind it, and interface MTUs, kept up to date by rtnetlink.
//
// How it works. At start and after each change everything is dumped anew: addresses, routes, links (a router has few).
// Inside networks are those reached through interfaces without a default route, in whichever routing table. An interface that had
// one stays an uplink as long as it is there: when it fails, what it led to does not move inside.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "alg/base/endpoint.h"
#include "conntrack/netlink.h"

namespace sipalg {

// Of interfaces by number.
class Mtus {
 public:
  uint32_t operator[](uint32_t interface) const; // 1500 when unknown
  void set(uint32_t interface, uint32_t mtu) { mtus_[interface] = mtu; }
  void clear() { mtus_.clear(); }
  friend bool operator==(const Mtus&, const Mtus&) = default;

 private:
  std::map<uint32_t, uint32_t> mtus_;
};

// An uplink, and an address that the router has on another one. What leaves there with it as source would find no way back,
// unless the administrator wants it so.
struct ForeignSource {
  uint32_t interface = 0;
  Address address;
  friend auto operator<=>(const ForeignSource&, const ForeignSource&) = default;
};

class Links {
 public:
  Links(); // throws std::system_error

  const std::set<Address>& own_addresses() const { return own_; }
  bool is_own(const Address& address) const { return own_.contains(address); }
  const std::vector<Network>& inside_networks() const { return inside_; } // sorted, without link-local and loopback
  const Mtus& mtus() const { return mtus_; }
  const std::set<ForeignSource>& foreign_sources() const { return foreign_; } // none where there is one uplink

  int event_fd() const { return events_.fd(); }
  bool on_events(); // true: something of these is another now

 private:
  struct Route {
    Network network;
    std::vector<uint32_t> interfaces;
  };
  void read();
  void on_address(const nlmsghdr& message);
  void on_link(const nlmsghdr& message);
  static void on_route(const nlmsghdr& message, std::vector<Route>& routes);
  void find_uplinks(const std::vector<Route>& routes);
  void find_inside(const std::vector<Route>& routes);
  void find_foreign();
  void dump(uint16_t type, const NetlinkSocket::OnMessage& on_message);

  NetlinkSocket events_;
  NetlinkSocket socket_;
  std::set<Address> own_;
  std::vector<Network> inside_;
  Mtus mtus_;
  std::map<uint32_t, std::set<Address>> interfaces_; // with their addresses
  std::set<uint32_t> loopbacks_, uplinks_;
  std::set<ForeignSource> foreign_;
};

} // namespace sipalg
