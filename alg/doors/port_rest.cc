// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/doors/port_rest.h"

#include "alg/base/limits.h"

namespace sipalg {

void PortRest::begin(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now) {
  const Key key{protocol, outside};
  forget(protocol, outside);
  by_outside_[key] = {inside, now + limits::port_rest};
  by_inside_.emplace(inside, key);
}

bool PortRest::is_resting(Protocol protocol, const Endpoint& outside, const Endpoint& wanted_by, Instant now) const {
  const auto it = by_outside_.find({protocol, outside});
  return it != by_outside_.end() && it->second.until > now && it->second.inside != wanted_by;
}

std::optional<uint16_t> PortRest::last_of(Protocol protocol, const Endpoint& inside, const Address& outside,
                                          Instant now) const {
  const auto [first, last] = by_inside_.equal_range(inside);
  for (auto it = first; it != last; ++it) {
    const Key& key = it->second;
    if (key.protocol != protocol || key.outside.address != outside) continue;
    if (by_outside_.at(key).until > now) return key.outside.port;
  }
  return std::nullopt;
}

void PortRest::forget(Protocol protocol, const Endpoint& outside) {
  const Key key{protocol, outside};
  const auto it = by_outside_.find(key);
  if (it == by_outside_.end()) return;
  const auto [first, last] = by_inside_.equal_range(it->second.inside);
  for (auto at = first; at != last; ++at) {
    if (!(at->second == key)) continue;
    by_inside_.erase(at);
    break;
  }
  by_outside_.erase(it);
}

void PortRest::tick(Instant now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + std::chrono::minutes{1};
  std::erase_if(by_inside_, [&](const auto& entry) { return by_outside_.at(entry.second).until <= now; });
  std::erase_if(by_outside_, [&](const auto& entry) { return entry.second.until <= now; });
}

}  // namespace sipalg
