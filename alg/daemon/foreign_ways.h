// SPDX-License-Identifier: GPL-2.0-or-later
// UDP that leaves by one uplink with the address of another: after a failover, and for no longer than a packet.
//
// How it works. The kernel deletes a masqueraded flow that a new route takes to another interface (nf_nat_oif_changed), and the next
// packet gets that one's address. What our doors translate it would translate on: to where nothing comes back, for as long as the
// door lives, an hour for a registration. So UDP with a foreign source (links.h) comes to the queue whatever it carries, and
//     a door of ours gave it     the door is closed, as if its address was gone
//     the flow is older          its conntrack is deleted
// and the packet dropped, as masquerade does. The next one gets what the kernel's own NAT gives, and SIP finds its doors there.
// Who translates to one uplink's address on another has his reasons. He shows by a flow's first packet that no door has to do
// with: from then on the two are not foreign to each other. Not within a second after a door was closed here: what it translated may
// still be on its way.
#pragma once
#include <map>

#include "alg/base/instant.h"
#include "alg/engine/engine.h"
#include "alg/packet/datagram.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/links.h"
#include "conntrack/steering.h"

namespace sipalg {

class ForeignWays {
 public:
  ForeignWays(Engine& engine, Steering& steering, FlowLookup& flows) : engine_(engine), steering_(steering), flows_(flows) {}

  // What the links say now. The steering is told.
  Steering::Result set(const std::set<ForeignSource>& sources);
  // Does this packet leave with a foreign source?
  bool is_foreign(uint32_t interface, const DatagramView& packet) const;
  // Of one that does: true, it is to be dropped.
  bool ends(uint32_t interface, const DatagramView& packet, const Flow& flow, Instant now);

 private:
  struct State {
    Instant door_closed_at = Instant::min();
    bool is_wanted = false;  // by the administrator
  };
  Steering::Result tell();

  Engine& engine_;
  Steering& steering_;
  FlowLookup& flows_;
  std::map<ForeignSource, State> sources_;
};

}  // namespace sipalg
