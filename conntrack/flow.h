// SPDX-License-Identifier: GPL-2.0-or-later
// The flow a packet belongs to: both its ends as each side of the router's NAT knows them.
#pragma once
#include <cstdint>

#include "alg/base/endpoint.h"

namespace sipalg {

// One end of a flow.
//
//     10.0.0.2:5060  ==router==>  203.0.113.1:61000           behind masquerade
//     `inside`: its own address     `outside`: what the other end sees and answers to
//
// The two are equal when the kernel's NAT changes nothing on this side.
struct FlowEnd {
  Endpoint inside;
  Endpoint outside;
  bool is_translated() const { return inside != outside; }
  friend bool operator==(const FlowEnd&, const FlowEnd&) = default;
};

// Seen from one packet: `sender` sent it, `receiver` will get it. At postrouting behind srcnat the header shows
// sender.outside as source and receiver.inside as destination.
// From conntrack: packet in the original direction: sender = {orig.src, reply.dst}, receiver = {reply.src, orig.dst};
// in the reply direction the two change places.
struct Flow {
  Protocol protocol = Protocol::udp;
  FlowEnd sender;
  FlowEnd receiver;
  uint16_t zone = 0;  // conntrack zone (original direction)
  bool begun_by_sender = true;  // the packet runs in conntrack's original direction
  bool is_new = false;          // this packet opens the conntrack: it is not confirmed yet
  friend bool operator==(const Flow&, const Flow&) = default;
};

}  // namespace sipalg
