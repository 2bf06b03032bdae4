// SPDX-License-Identifier: GPL-2.0-or-later
// Hosts that a failover takes from one uplink to another.
//
// How it works. The kernel deletes a masqueraded flow that a new route takes to another interface (nf_nat_oif_changed), and the next
// packet gets that one's address. What our doors translate they would translate on: to where nothing comes back, for as long as a
// door lives, an hour for a registration. So a SIP packet that leaves by the uplink in use with the address of an idle one (links.h)
//     1. has its door closed, if one gave it that address, and its flow deleted, and is dropped, as by masquerade; it is repeated;
//     2. when the repeated one leaves with another address, the host has moved: all doors that it had on the old one are closed as
//        if the address was lost, media too, whose flows go with them. The message finds new doors.
//     3. when it leaves with the same one, an administrator's rule gives that: the door lives again, and the host is left alone.
// A first packet with a foreign source that no door gave says the same as 3 at once.
// In a flow that the outside began, through a door, requests do the same: a phone may have no other flow to its registrar.
// Media alone moves nothing: where several uplinks are in use it goes its own ways.
#pragma once
#include <unordered_map>

#include "alg/base/instant.h"
#include "alg/base/limits.h"
#include "alg/engine/engine.h"
#include "alg/packet/datagram.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/links.h"

namespace sipalg {

// Of one thread.
class ForeignWays {
 public:
  ForeignWays(Engine& engine, FlowLookup& flows, const Interfaces& interfaces) : engine_(engine), flows_(flows), interfaces_(interfaces) {}

  // May this packet close doors? Then it must not be handled within another message.
  bool may_concern(uint32_t interface, const DatagramView& packet, Instant now) const {
    return now <= moving_until_ || interfaces_.is_foreign(interface, packet.source.address);
  }
  // True: its flow is deleted, and it is to be dropped. `interface`: by which it leaves.
  bool ends(uint32_t interface, const DatagramView& packet, const Flow& flow, Instant now);

 private:
  struct Host {
    Address address;   // the foreign one
    uint32_t interface = 0;
    bool is_moving = false;  // between 1 and 2 or 3; else left alone
    Instant until = Instant::max();
  };
  void note(const Address& inside_host, const Host& host);

  Engine& engine_;
  FlowLookup& flows_;
  const Interfaces& interfaces_;
  std::unordered_map<Address, Host> hosts_;  // limits::registrations at most, then it begins anew
  Instant moving_until_ = Instant::min();    // no host moves after that
};

}  // namespace sipalg
