// SPDX-License-Identifier: GPL-2.0-or-later
// Which flows SIP is taken from: one line for UDP, one for TCP, each a switch and a list of ports.
//
// How it works. Who is switched off in the middle of a call must not lose the call: the other side knows our outside
// addresses, and only we can give them back. So a switch never touches a record:
//     takes(flow)   the line is on and the flow has one of its ports, or none of those that were taken away (then an
//                   endpoint of a living door brought it): every message of it is followed
//     otherwise     a message that belongs to a record goes on being followed: its transaction, its leg, for REGISTER its
//                   registration. Anything else passes untouched, opens nothing, and counts as Reason::service_off.
// A registration goes on until its phone or time ends it, or `clear registrations`: the registrar has been told the
// outside Contact, and a refresh with the inside one would be a second binding. Calls to and from that phone are new
// calls and pass untouched.
// The packets still come to the queue meanwhile: alg/daemon/service_switch.h says for how long.
// Proved by test/engine (service_test.cc) and the network tests service_*.
#pragma once
#include <set>
#include <vector>

#include "conntrack/flow.h"

namespace sipalg {

struct SipService {
  struct Line {
    bool on = true;
    std::vector<uint16_t> ports;  // sorted
    std::set<uint16_t> removed;   // were in service, and are not any more
  };
  Line udp, tcp;  // as they are made: everything is taken

  Line& of(Protocol protocol) { return protocol == Protocol::tcp ? tcp : udp; }
  const Line& of(Protocol protocol) const { return protocol == Protocol::tcp ? tcp : udp; }
  bool takes(const Flow& flow) const;
};

}  // namespace sipalg
