// SPDX-License-Identifier: GPL-2.0-or-later
// Where the other side wants what we send: ways out, and scopes for our own doors (sip-rules section 5).
#include <algorithm>

#include "alg/engine/exchange.h"
#include "alg/rewrite/host_port.h"

namespace sipalg {
namespace {

constexpr std::size_t most_peers = 8;
constexpr std::size_t most_signalling_doors = 32;  // of one leg

bool leads_to_peers(sip::Method method) {
  using sip::Method;
  return method == Method::invite || method == Method::subscribe || method == Method::notify || method == Method::refer ||
         method == Method::update;
}

}  // namespace

void Exchange::add_peer(const Endpoint& peer) {
  const CompactList<Endpoint>& known = rooms_.calls.path_of(*leg_).peers;
  if (known.size() < most_peers && std::ranges::find(known, peer) == known.end()) rooms_.calls.add_peer(*leg_, peer);
}

// Another host behind this router, by its outside endpoint: a proxy without Record-Route leaves ACK and BYE to the two, and they
// turn around in the router.
void Exchange::meet_neighbour(const sip::Uri& uri, const Endpoint& outside) {
  if (const auto door = neighbours_door(uri, outside)) add_peer(door->inside);
}

// Which the sender may use himself.
std::optional<Doors::Found> Exchange::neighbours_door(const sip::Uri& uri, const Endpoint& outside) const {
  const Address& host = passage_.me.inside.address;
  const auto door = rooms_.doors.find_outside(protocol_of(uri, passage_.protocol), outside, passage_.peer.address, host);
  return door && door->is_translating() && door->inside.address != host ? door : std::nullopt;
}

void Exchange::meet(const sip::Uri& uri) {
  const auto endpoint = endpoint_of(uri);
  if (!endpoint) return;
  if (!is_remote(rules_, passage_, protocol_of(uri, passage_.protocol), *endpoint)) return meet_neighbour(uri, *endpoint);
  add_peer(*endpoint);
  const LegPath& path = rooms_.calls.path_of(*leg_);
  if (path.doors.size() >= most_signalling_doors) return;  // refuse the new, keep the living
  const auto door = open_way_out(protocol_of(uri, passage_.protocol), path.inside_host, *endpoint);
  if (door) rooms_.calls.own(*leg_, *door, passage_.now);
}

// For SIP; the caller owns it.
std::optional<DoorId> Exchange::open_way_out(Protocol protocol, const Address& host, const Endpoint& remote) {
  const auto door = rooms_.doors.claim_way_out(protocol, host, remote, true, passage_.zone);
  if (!door) return std::nullopt;
  SmallList<DoorId, 1> doors{*door};
  return open_or_release(rules_, doors, passage_.now) ? std::optional(*door) : std::nullopt;
}

// Contact and the nearest Record-Route: the first value of a request in, the last of a response in, that is not ours.
void Exchange::meet_peers() {
  if (!leg_ || leg_->ends || !leads_to_peers(message_.method)) {
    way_out_for_redirects();
    return;
  }
  if (!message_.is_request && (message_.status < 101 || message_.status >= 300)) return way_out_for_redirects();
  for (const sip::NameAddr& contact : message_.contacts) meet(contact.uri);
  const auto is_theirs = [&](const sip::NameAddr& route) {
    const auto endpoint = endpoint_of(route.uri);
    return !endpoint || is_remote(rules_, passage_, protocol_of(route.uri, passage_.protocol), *endpoint);
  };
  const auto& routes = message_.record_routes;
  if (message_.is_request) {
    const auto nearest = std::find_if(routes.begin(), routes.end(), is_theirs);
    if (nearest != routes.end()) meet(nearest->uri);
  } else {
    for (std::size_t i = routes.size(); i-- > 0;) {
      if (!is_theirs(routes[i])) continue;
      meet(routes[i].uri);
      break;
    }
  }
  join_peers();
}

// Contact or Record-Route of the other side may be a name: its address shows by where our side sends.
void Exchange::meet_destination() {
  const Address& remote = passage_.peer.address;
  const LegPath& path = rooms_.calls.path_of(*leg_);
  const Dialog* dialog = find_dialog();
  if (!dialog || dialog->state == Dialog::State::ended || leg_->ends || path.peers.size() >= most_peers) return;
  const auto lacks = [&](DoorId door) { return rooms_.doors.lacks(door, remote); };
  const bool is_met = std::ranges::find(path.peers, remote, &Endpoint::address) != path.peers.end();
  if (!is_met && is_remote(rules_, passage_, passage_.protocol, passage_.peer) && std::ranges::any_of(path.doors, lacks))
    rooms_.calls.add_peer(*leg_, passage_.peer);
}

// The same endpoints as a living door has, for one more host.
std::optional<DoorId> Exchange::claim_for(const KernelDoor& known, const Address& host) {
  DoorTable::SignallingWish wish;
  wish.protocol = known.protocol;
  wish.inside = known.inside;
  wish.outside_address = known.outside.address;
  wish.own_mapping = known.outside.port;
  wish.exactly = known.outside.port;
  wish.scope = scope_of(rooms_.policy, host);
  wish.zone = known.zone;
  const auto door = rooms_.doors.claim_signalling(wish, passage_.now);
  return door ? std::optional(*door) : std::nullopt;
}

// Our signalling doors of this leg let its peers in, from whatever address they send.
void Exchange::join_peers() {
  const LegPath& path = rooms_.calls.path_of(*leg_);
  if (path.peers.empty() || rooms_.policy.signalling_from_any) return;
  SmallList<DoorId, 4> fresh;
  for (std::size_t i = 0; i < path.doors.size() && path.doors.size() < limits::doors_per_dialog; ++i) {
    for (const Endpoint& peer : path.peers) {
      if (!rooms_.doors.lacks(path.doors[i], peer.address)) continue;
      const auto door = rooms_.doors.living_inbound(path.doors[i]);
      if (!door) continue;  // its address went in this moment
      if (const auto joined = claim_for(*door, peer.address)) fresh.push_back(*joined);
    }
  }
  if (fresh.empty() || !open_or_release(rules_, fresh, passage_.now)) return;
  for (DoorId door : fresh) rooms_.calls.own(*leg_, door, passage_.now);
}

void Exchange::way_out_for_transaction(Protocol protocol, const Endpoint& remote) {
  if (!transaction_ || !is_remote(rules_, passage_, protocol, remote)) return;
  const auto door = open_way_out(protocol, passage_.me.inside.address, remote);
  if (door) rooms_.calls.own(transaction_->doors, *door, passage_.now);
}

// Our side is asked to begin something there: outside, or at a neighbour's door. That lets it in then, and its own door the
// neighbour, so that each sees the other from outside (RFC 4787 REQ-9).
void Exchange::way_to_target(const sip::Uri& uri) {
  const auto endpoint = endpoint_of(uri);
  if (!endpoint || !transaction_) return;
  const Protocol protocol = protocol_of(uri, passage_.protocol);
  way_out_for_transaction(protocol, *endpoint);
  const FlowEnd& me = passage_.me;
  const auto neighbours = neighbours_door(uri, *endpoint);
  const auto own = neighbours ? rooms_.doors.find_signalling(protocol, me.inside, me.outside.address, passage_.peer.address) : std::nullopt;
  SmallList<DoorId, 2> doors;
  const auto let = [&](const Doors::Found& door, const Address& host) {
    const auto known = rooms_.doors.living_inbound(door.id);
    const auto claimed = known && known->signalling ? claim_for(*known, host) : std::nullopt;
    if (claimed) doors.push_back(*claimed);
  };
  if (neighbours) let(*neighbours, me.inside.address);
  if (own) let(*own, neighbours->inside.address);
  if (doors.empty() || !open_or_release(rules_, doors, passage_.now)) return;
  for (DoorId door : doors) rooms_.calls.own(transaction_->doors, door, passage_.now);
}

// The response goes to sent-by's port unless rport asks for the source (RFC 3581 section 4, RFC 3261 section 18.2.2).
void Exchange::way_out_for_via() {
  const sip::Via& via = message_.vias.front();
  if (via.has_rport || passage_.protocol != Protocol::udp) return;
  const uint16_t port = via.sent_by.port.is_set() ? via.sent_by.port_number : sip_port;
  const Endpoint answer_to{passage_.peer.address, port};
  if (answer_to != passage_.peer) way_out_for_transaction(passage_.protocol, answer_to);
}

void Exchange::way_out_for_redirects() {
  if (message_.is_request || message_.status < 300 || message_.status >= 400) return;
  for (const sip::NameAddr& contact : message_.contacts) way_to_target(contact.uri);
}

}  // namespace sipalg
