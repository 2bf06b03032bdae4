// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/doors/port_rest.h"

#include "alg/base/erase_one.h"
#include "alg/base/limits.h"

namespace sipalg {

void PortRest::begin(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now) {
  const Key key{protocol, outside};
  forget(protocol, outside);
  tables_->by_outside[key] = {inside, now + limits::port_rest};
  tables_->by_inside.emplace(inside, key);
}

bool PortRest::is_resting(Protocol protocol, const Endpoint& outside, const Endpoint& wanted_by, Instant now) const {
  const auto it = tables_->by_outside.find({protocol, outside});
  return it != tables_->by_outside.end() && it->second.until > now && it->second.inside != wanted_by;
}

std::optional<uint16_t> PortRest::last_of(Protocol protocol, const Endpoint& inside, const Address& outside,
                                          Instant now) const {
  const auto [first, last] = tables_->by_inside.equal_range(inside);
  for (auto it = first; it != last; ++it) {
    const Key& key = it->second;
    if (key.protocol != protocol || key.outside.address != outside) continue;
    if (tables_->by_outside.at(key).until > now) return key.outside.port;
  }
  return std::nullopt;
}

void PortRest::forget(Protocol protocol, const Endpoint& outside) {
  const Key key{protocol, outside};
  const auto it = tables_->by_outside.find(key);
  if (it == tables_->by_outside.end()) return;
  erase_one(tables_->by_inside, it->second.inside, key);
  tables_->by_outside.erase(it);
}

void PortRest::tick(Instant now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + std::chrono::minutes{1};
  std::erase_if(tables_->by_inside, [&](const auto& entry) { return tables_->by_outside.at(entry.second).until <= now; });
  std::erase_if(tables_->by_outside, [&](const auto& entry) { return entry.second.until <= now; });
  if (tables_->by_outside.empty()) tables_ = std::make_unique<Tables>();
}

}  // namespace sipalg
