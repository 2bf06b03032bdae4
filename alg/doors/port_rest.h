// SPDX-License-Identifier: GPL-2.0-or-later
// Freed outside ports rest before another host gets them (RFC 6888 REQ-8); the same inside endpoint gets its own back.
#pragma once
#include <deque>
#include <optional>

#include "alg/base/chain_index.h"
#include "alg/base/endpoint.h"
#include "alg/base/instant.h"

namespace sipalg {

class PortRest {
 public:
  void begin(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now);
  // Somebody else's port for a while yet?
  bool is_resting(Protocol protocol, const Endpoint& outside, const Endpoint& wanted_by, Instant now) const;
  // The outside port this inside endpoint had last on that address, while it rests.
  std::optional<uint16_t> last_of(Protocol protocol, const Endpoint& inside, const Address& outside, Instant now) const;
  void forget(Protocol protocol, const Endpoint& outside);
  void tick(Instant now);  // drops what has rested, so many at a time that nobody waits for it
  std::size_t size() const { return rests_.size(); }  // with those that are forgotten: they go as the others do

 private:
  struct Rest {
    Endpoint inside, outside;
    Protocol protocol = Protocol::udp;
    bool is_resting = false;  // not forgotten since
    Instant until{};
    uint32_t by_inside = 0, by_outside = 0;
  };
  static std::size_t hash_of(Protocol protocol, const Endpoint& endpoint) {
    return std::hash<Endpoint>{}(endpoint) ^ static_cast<std::size_t>(protocol);
  }
  struct InsideHash {
    std::size_t operator()(const Rest& rest) const { return hash_of(rest.protocol, rest.inside); }
  };
  struct OutsideHash {
    std::size_t operator()(const Rest& rest) const { return hash_of(rest.protocol, rest.outside); }
  };
  using Id = Slab<Rest>::Id;
  struct End {
    Id id;
    Instant until;
  };
  Id find(Protocol protocol, const Endpoint& outside) const;
  Id add(Protocol protocol, const Endpoint& outside, const Endpoint& inside);
  bool is_last(const End& end) const;  // of its port
  void erase(Id id);
  Slab<Rest> rests_;
  ChainIndex<Rest, &Rest::by_inside, InsideHash, Found::newest_first, 8> by_inside_{rests_};
  ChainIndex<Rest, &Rest::by_outside, OutsideHash, Found::newest_first, 8> by_outside_{rests_};
  std::deque<End> in_order_;  // some are over: their port is at rest again, until later
};

}  // namespace sipalg
