// SPDX-License-Identifier: GPL-2.0-or-later
// What the administrator decides and what the daemon learns of the router, as the rules see it.
#pragma once
#include <vector>

#include "alg/base/endpoint.h"
#include "alg/base/limits.h"

namespace sipalg {

struct Policy {
  std::vector<Network> inside;            // who is inside where NAT does not tell
  std::vector<Address> router;            // the router's own addresses: no door leads to them
  std::vector<Network> pbx;               // may name other inside hosts (sip-rules section 7)
  std::vector<Network> signalling_peers;  // may reach every signalling door (sip-rules section 5)
  bool signalling_from_any = false;       // signalling-source = "any"
  bool second_opinion = true;
  PortRange media_ports{16384, 65535};    // the pool, where the inside port is not free outside
  std::vector<PortRange> reserved_ports;  // never given away
  std::chrono::milliseconds call_idle = limits::call_idle;
  std::chrono::milliseconds call_idle_held = limits::call_idle_held;

  bool is_inside(const Address& address) const { return any_contains(inside, address); }
  bool is_router(const Address& address) const {
    for (const auto& own : router)
      if (own == address) return true;
    return false;
  }
  bool is_pbx(const Address& address) const { return any_contains(pbx, address); }

 private:
  static bool any_contains(const std::vector<Network>& networks, const Address& address) {
    for (const auto& network : networks)
      if (network.contains(address)) return true;
    return false;
  }
};

}  // namespace sipalg
