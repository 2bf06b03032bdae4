// SPDX-License-Identifier: GPL-2.0-or-later
// Whose address is it, and who may name whom (sip-rules sections 1 and 7).
#pragma once
#include "alg/rewrite/passage.h"

namespace sipalg {

enum class Standing : uint8_t {
  own,          // the sender's inside address
  other,        // another inside host
  outside_own,  // the outside address: this host does its own NAT traversal
  foreign,      // anybody else's: never ours to touch
};
Standing standing_of(const Rules& rules, const Passage& passage, const Address& address);

// May the sender of this message get a new door to `target`, another inside host?
bool may_name(const Rules& rules, const Passage& passage, const Address& target);

// Did the sender put itself into the Record-Route of this message?
bool is_record_routing(const Rules& rules, const Passage& passage);

// Another host was named and it is not allowed: counted, with the line of configuration that would.
void note_third_party(Rules& rules, const Passage& passage, const Address& target);

// The address range a signalling door toward `remote` serves (sip-rules section 5); the networks of the peers besides.
Network scope_of(const Policy& policy, const Address& remote);
// Its own scope first. Until `take(scope)` says false.
template <typename F> void for_each_scope(const Policy& policy, const Address& remote, F&& take) {
  if (!take(scope_of(policy, remote)) || policy.signalling_from_any) return;
  for (const Network& network : policy.signalling_peers)
    if (network.address.family() == remote.family() && !network.contains(remote) && !take(network)) return;
}

// Can a way out lead there? Unicast, not inside, not the router, not one of our own outside endpoints.
bool is_remote(const Rules& rules, const Passage& passage, Protocol protocol, const Endpoint& endpoint);

}  // namespace sipalg
