// SPDX-License-Identifier: GPL-2.0-or-later
// Freed outside ports rest before another host gets them (RFC 6888 REQ-8); the same inside endpoint gets its own back.
#pragma once
#include <memory>
#include <memory_resource>
#include <optional>
#include <unordered_map>

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
  void tick(Instant now);  // drops what has rested; at most once a minute does work

 private:
  struct Key {
    Protocol protocol;
    Endpoint outside;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<Endpoint>{}(key.outside) ^ static_cast<std::size_t>(key.protocol);
    }
  };
  struct Rest {
    Endpoint inside;
    Instant until;
  };
  // Entries outlive all else of a call: in memory of their own they keep none of its pages from being given back.
  struct Tables {
    std::pmr::unsynchronized_pool_resource pool;
    std::pmr::unordered_map<Key, Rest, Hash> by_outside{&pool};
    std::pmr::unordered_multimap<Endpoint, Key> by_inside{&pool};
  };
  std::unique_ptr<Tables> tables_ = std::make_unique<Tables>();
  Instant next_sweep_{};
};

}  // namespace sipalg
