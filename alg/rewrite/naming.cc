// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/naming.h"

#include <algorithm>

namespace sipalg {

Standing standing_of(const Rules& rules, const Passage& passage, const Address& address) {
  if (address == passage.me.inside.address) return Standing::own;
  if (address == passage.me.outside.address || address.family() != passage.me.inside.address.family())
    return address == passage.me.outside.address ? Standing::outside_own : Standing::foreign;
  return rules.policy.is_inside(address) && address.is_unicast() ? Standing::other : Standing::foreign;
}

bool may_name(const Rules& rules, const Passage& passage, const Address& target) {
  if (rules.policy.is_router(target)) return false;
  const Address& sender = passage.me.inside.address;
  if (rules.policy.is_pbx(sender) || rules.learned.pbx.contains(sender) || rules.sender_routes) return true;
  const auto& message = passage.message;
  for (std::size_t i = 1; message.is_request && i < message.vias.size(); ++i)
    if (message.vias[i].sent_by.address == target) return true;
  return is_record_routing(rules, passage);
}

bool is_record_routing(const Rules& rules, const Passage& passage) {
  const auto& routes = passage.message.record_routes;
  for (std::size_t i = 0; i < routes.size() && i < rules.own_routes; ++i)
    if (routes[i].uri.host.address == passage.me.inside.address) return true;
  return false;
}

void note_third_party(Rules& rules, const Passage& passage, const Address& target) {
  rules.group_failed(Reason::third_party);
  if (!rules.notes) return;
  const std::string sender = to_string(passage.me.inside.address);
  std::string note = sender + " names " + to_string(target) + ", another host: left as it is; `pbx = [\"" + sender +
                     "\"]` in sipalgd.toml would allow it";
  if (std::ranges::find(*rules.notes, note) == rules.notes->end()) rules.notes->push_back(std::move(note));
}

Network scope_of(const Policy& policy, const Address& remote) {
  if (policy.signalling_from_any) return {};
  Network scope = Network::of(remote);
  for (const Network& network : policy.signalling_peers)
    if (network.contains(remote)) scope = network;
  return scope;
}

bool is_remote(const Rules& rules, const Passage& passage, Protocol protocol, const Endpoint& endpoint) {
  const Address& address = endpoint.address;
  if (endpoint.port < limits::lowest_port || !address.is_unicast() || address.family() != passage.me.inside.address.family()) return false;
  if (address == passage.me.inside.address || address == passage.me.outside.address) return false;
  if (rules.policy.is_inside(address) || rules.policy.is_router(address)) return false;
  return !rules.doors.is_outside_endpoint(protocol, endpoint);
}

}  // namespace sipalg
