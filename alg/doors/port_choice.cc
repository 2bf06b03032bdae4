// SPDX-License-Identifier: GPL-2.0-or-later
// Which outside port a door gets: decided by the inside endpoint and the tables alone (RFC 4787 REQ-11), never by chance.
#include <algorithm>

#include "alg/base/limits.h"
#include "alg/doors/door_table.h"

namespace sipalg {
namespace {

Protocol other_protocol(Protocol protocol) { return protocol == Protocol::udp ? Protocol::tcp : Protocol::udp; }

}  // namespace

void DoorTable::set_ports(PortRange pool, std::vector<PortRange> reserved) {
  pool_ = pool;
  reserved_ = std::move(reserved);
}

// Free as sip-rules section 5 says, doors of our own left to the caller.
bool DoorTable::is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now) {
  if (outside.port < limits::lowest_port) return false;
  if (inside == outside) return true;  // no NAT: there is nothing to choose
  if (std::ranges::any_of(reserved_, [&](const PortRange& range) { return range.contains(outside.port); })) return false;
  if (forwarded_.contains({protocol, outside})) return false;
  return !rest_.is_resting(protocol, outside, inside, now) && keeper_.is_free(protocol, outside, inside);
}

// May this inside endpoint have `port` in this scope? The flow's own mapping is in conntrack already: it is its own.
bool DoorTable::can_serve(const SignallingWish& wish, uint16_t port, Instant now, bool own_mapping) {
  const Place place{wish.protocol, {wish.outside_address, port}};
  if (!is_mine(place)) return false;
  const DoorId in_the_way = find_at_outside(place.protocol, place.endpoint, [&](const Door& other) {
    if (!way_of(other).signalling || overlap(way_of(other).scope, wish.scope)) return true;
    if (inside_of(other) == wish.inside) own_mapping = true;  // the same endpoint toward another scope
    return false;
  });
  if (in_the_way != 0) return false;
  if (const auto it = forwarded_.find(place); it != forwarded_.end()) return it->second == wish.inside;
  if (wish.has_twin && !can_serve_twin(wish, port, now)) return false;
  return own_mapping ? port >= limits::lowest_port : is_free(wish.protocol, place.endpoint, wish.inside, now);
}

// May it have the same port by the other protocol? Where another inside endpoint is reached, never.
bool DoorTable::can_serve_twin(const SignallingWish& wish, uint16_t port, Instant now) {
  const Place place{other_protocol(wish.protocol), {wish.outside_address, port}};
  if (!is_mine(place, true)) return false;
  const DoorId taken = find_at_outside(place.protocol, place.endpoint, [](const Door&) { return true; });
  if (taken != 0) return inside_of(*doors_.find(taken)) == wish.inside;
  if (const auto it = forwarded_.find(place); it != forwarded_.end()) return it->second == wish.inside;
  return is_free(place.protocol, place.endpoint, wish.inside, now);
}

uint16_t DoorTable::choose_signalling_port(const SignallingWish& wish, Instant now) {
  if (wish.inside.address == wish.outside_address) return wish.inside.port;  // no NAT
  if (wish.exactly != 0) return can_serve(wish, wish.exactly, now, wish.exactly == wish.own_mapping) ? wish.exactly : uint16_t{0};
  if (wish.own_mapping != 0 && can_serve(wish, wish.own_mapping, now, true)) return wish.own_mapping;
  if (is_stopped()) return 0;
  // the endpoint it has toward others, or by the other protocol, so that it is known by one
  for (const Protocol protocol : {wish.protocol, other_protocol(wish.protocol)}) {
    uint16_t refused = 0;  // they are mostly one port toward many scopes
    const DoorId known = find_at_inside(protocol, wish.inside, [&](const Door& other) {
      if (other.outside_port == refused || !way_of(other).signalling || way_of(other).outside.address != wish.outside_address) return false;
      if (can_serve(wish, other.outside_port, now, false)) return true;
      refused = other.outside_port;
      return false;
    });
    if (known != 0) return doors_.find(known)->outside_port;
    if (is_stopped()) return 0;
  }
  if (wish.inside.port != wish.own_mapping && can_serve(wish, wish.inside.port, now, false)) return wish.inside.port;
  const uint32_t size = static_cast<uint32_t>(pool_.last) - pool_.first + 1;
  for (uint32_t i = first_to_try(); i < size && !is_stopped(); ++i) {
    const auto port = static_cast<uint16_t>(pool_.first + (wish.inside.port + i) % size);
    if (can_serve(wish, port, now, false)) return port;
    stopped_at(i);
  }
  return 0;
}

bool DoorTable::run_is_free(const MediaWish& wish, const MediaDoors& run, uint32_t first, Instant now) {
  if (first == 0 || first + wish.ports - 1U > 65535U) return false;
  for (uint32_t i = 0; i < wish.ports; ++i) {
    const Endpoint outside{wish.outside_address, static_cast<uint16_t>(first + i)};
    const Endpoint inside{wish.inside.address, static_cast<uint16_t>(wish.inside.port + i)};
    const DoorId own = run[i];
    if (own != 0) {
      if (outside_of(own) != outside) return false;  // it has its port and keeps it
      continue;
    }
    if (!is_mine({wish.protocol, outside}) || is_outside_endpoint(wish.protocol, outside) || !is_free(wish.protocol, outside, inside, now)) return false;
  }
  return true;
}

uint16_t DoorTable::choose_media_port(const MediaWish& wish, const MediaDoors& run, Instant now) {
  if (wish.inside.address == wish.outside_address) return wish.inside.port;  // no NAT
  if (const DoorId own = run.front(); own != 0) {
    const uint16_t port = doors_.find(own)->outside_port;
    return run_is_free(wish, run, port, now) ? port : uint16_t{0};
  }
  if (const auto last = rest_.last_of(wish.protocol, wish.inside, wish.outside_address, now))
    if (wish.is_late_copy || run_is_free(wish, run, *last, now)) return *last;
  if (!is_stopped() && run_is_free(wish, run, wish.inside.port, now)) return wish.inside.port;
  const uint32_t pairs = (static_cast<uint32_t>(pool_.last) - pool_.first + 1) / 2;
  const uint32_t parity = wish.inside.port % 2U;
  const uint32_t base = pool_.first + (pool_.first % 2U);
  for (uint32_t i = first_to_try(); i < pairs && !is_stopped(); ++i) {
    const uint32_t first = base + 2 * ((wish.inside.port / 2U + i) % pairs) + parity;
    if (first + wish.ports - 1U <= pool_.last && run_is_free(wish, run, first, now)) return static_cast<uint16_t>(first);
    stopped_at(i);
  }
  return 0;
}

}  // namespace sipalg
