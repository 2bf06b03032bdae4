// SPDX-License-Identifier: GPL-2.0-or-later
// One message on its way past one inside end, and what the rules work with.
#pragma once
#include <bitset>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "alg/base/instant.h"
#include "alg/base/small_list.h"
#include "alg/calls/registrations.h"
#include "alg/edit/edit_list.h"
#include "alg/rewrite/policy.h"
#include "alg/sip/message.h"
#include "conntrack/flow.h"

namespace sipalg {

// `me` is the inside end, whatever the direction; `peer` the other one as `me` sees it.
struct Passage {
  std::string_view bytes;
  const sip::Message& message;
  FlowEnd me;
  Endpoint peer;
  Protocol protocol = Protocol::udp;
  uint16_t zone = 0;
  bool out = false;  // me sent it
  bool begun_by_me = true;  // the flow: conntrack's original direction leaves from me
  Instant now{};
  std::string_view text(Span span) const { return span.in(bytes); }
  // The connection's own end, which `me` opened from a port of its own: the way to it is the connection itself, and nobody
  // listens there for another.
  bool is_own_connection(Protocol p, const Endpoint& inside) const {
    return p == Protocol::tcp && protocol == p && begun_by_me && inside == me.inside;
  }
  // Where an inside host is seen: behind NAT with the flow's outside address, else with its own, whoever names it.
  const Address& outside_of(const Address& inside) const {
    return me.inside.address == me.outside.address ? inside : me.outside.address;
  }
};

// What the daemon learnt from messages and flows; bounded, never needed for correctness.
struct Learned {
  std::unordered_set<Address> pbx;             // targets of an administrator's SIP DNAT
  std::unordered_set<Address> write_outside;   // inside hosts that write outside endpoints themselves
  std::unordered_set<Address> register_outside;  // those whose last REGISTER did: their older records are of no use
  std::unordered_set<Address> beyond_nat;      // remotes in an inside network toward which the kernel translates: it leads outside
};

using FailedGroups = std::bitset<count_of<Reason>>;  // why groups of one message stayed as they were

// Borrowed by every rule.
struct Rules {
  const Policy& policy;
  Doors& doors;
  Registrations& registrations;
  Learned& learned;
  Stats& stats;
  EditList& edits;
  std::vector<DoorId>& opened;      // doors that went into the kernel for this message
  FailedGroups& failed;
  std::vector<std::string>* notes;  // for people; nullptr: nobody asks
  std::size_t own_routes = SIZE_MAX;  // of the Record-Routes of a response out the first ones: the others came with its request
  bool sender_routes = false;       // Leg::routed of the message's leg
  void group_failed(Reason reason) {
    stats.count_group(reason);
    failed.set(static_cast<std::size_t>(reason));
  }
};

// What a group of edits did before it was allowed to: undone as a whole when it fails.
class Group {
 public:
  Group(Rules& rules, Instant now) : rules_(rules), now_(now), mark_(rules.edits.mark()) {}
  ~Group() { undo(); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // A door this group has claimed; it is released when the group fails.
  void claimed(DoorId door) { doors_.push_back(door); }
  // The same, but commit() leaves it closed.
  void reserved(DoorId door) { reserved_.push_back(door); }
  void edit(Span span, Field field, std::string_view text);
  void fail(Reason reason) {
    if (!failed()) reason_ = reason;
  }
  bool failed() const { return reason_ != Reason::edited; }
  Reason reason() const { return reason_; }
  bool opens_something() const;  // a claimed door is not in the kernel yet
  // Opens the claimed doors; the caller takes them over. On failure the group has failed.
  bool commit();
  // For a message that changes no state any more: the edits stay, the doors they name are let go again.
  void release_doors();
  void undo();  // releases what was claimed, takes the edits back; nothing after commit()

 private:
  Rules& rules_;
  Instant now_;
  EditList::Mark mark_;
  SmallList<DoorId, 16> doors_, reserved_;
  Reason reason_ = Reason::edited;  // edited: has not failed
  bool done_ = false;
};

}  // namespace sipalg
