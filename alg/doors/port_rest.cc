// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/doors/port_rest.h"

#include "alg/base/limits.h"

namespace sipalg {
namespace {

constexpr std::size_t dropped_at_once = 2000, few = 1000;

}  // namespace

PortRest::Id PortRest::find(Protocol protocol, const Endpoint& outside) const {
  return by_outside_.find(hash_of(protocol, outside), [&](const Rest& r) { return r.outside == outside && r.protocol == protocol; });
}

void PortRest::erase(Id id) {
  by_inside_.erase(id);
  by_outside_.erase(id);
  rests_.erase(id);
}

// A port comes and goes with the calls of one endpoint mostly: its record stays, and with it its place in both indexes.
void PortRest::begin(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now) {
  Id id = find(protocol, outside);
  if (const Rest* known = rests_.find(id); known && known->inside != inside) {
    erase(id);
    id = 0;
  }
  if (id == 0) id = add(protocol, outside, inside);
  Rest& rest = *rests_.find(id);
  rest.is_resting = true;
  rest.until = now + limits::port_rest;
  in_order_.push_back({id, rest.until});
  if (in_order_.size() > 2 * rests_.size() + few) std::erase_if(in_order_, [this](const End& end) { return !is_last(end); });
}

PortRest::Id PortRest::add(Protocol protocol, const Endpoint& outside, const Endpoint& inside) {
  const auto [id, rest] = rests_.add();
  rest.inside = inside;
  rest.outside = outside;
  rest.protocol = protocol;
  by_inside_.insert(id);
  by_outside_.insert(id);
  return id;
}

bool PortRest::is_last(const End& end) const {
  const Rest* rest = rests_.find(end.id);
  return rest && rest->until == end.until;
}

bool PortRest::is_resting(Protocol protocol, const Endpoint& outside, const Endpoint& wanted_by, Instant now) const {
  const Rest* rest = rests_.find(find(protocol, outside));
  return rest && rest->is_resting && rest->until > now && rest->inside != wanted_by;
}

std::optional<uint16_t> PortRest::last_of(Protocol protocol, const Endpoint& inside, const Address& outside, Instant now) const {
  const Rest* last = nullptr;
  by_inside_.for_each(hash_of(protocol, inside), [&](const Rest& r) {
    if (!r.is_resting || r.inside != inside || r.protocol != protocol || r.outside.address != outside || r.until <= now) return;
    if (!last || r.until > last->until) last = &r;
  });
  return last ? std::optional(last->outside.port) : std::nullopt;
}

void PortRest::forget(Protocol protocol, const Endpoint& outside) {
  if (Rest* rest = rests_.find(find(protocol, outside))) rest->is_resting = false;
}

void PortRest::tick(Instant now) {
  for (std::size_t i = 0; i < dropped_at_once && !in_order_.empty() && in_order_.front().until <= now; ++i) {
    if (is_last(in_order_.front())) erase(in_order_.front().id);
    in_order_.pop_front();
  }
}

}  // namespace sipalg
