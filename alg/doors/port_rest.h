// SPDX-License-Identifier: GPL-2.0-or-later
// Freed outside ports rest before another host gets them (RFC 6888 REQ-8); the same inside endpoint gets its own back.
//
// How it works. A busy router sends all ports of its addresses to rest within minutes, and each call asks after some that nobody
// has touched since. So ports stand side by side in pages of their address: those of one media line share a cache line, and a
// port is found by its number. An inside endpoint's ports form a ring, with those of its neighbours, which mostly stand beside
// them, and of others that share its hash, from the oldest to the newest and on to the oldest: who comes last and who goes first
// are both found at once. A record stays while its port is in use again, so that the next rest finds its place; it goes when the
// rest that was begun last is over.
#pragma once
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

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
  std::size_t size() const { return size_; }  // with those that are forgotten: they go as the others do

 private:
  struct Rest {
    Endpoint inside{};
    uint16_t next = 0;        // port of its ring
    bool is_there = false;
    bool is_resting = false;  // not forgotten since
    Instant until{};
  };
  static_assert(sizeof(Rest) == 32);
  // Of one protocol and address; without any port it takes no room to speak of.
  class Place {
   public:
    Rest* find(uint16_t port) const;  // null: there is none
    Rest& add(uint16_t port, const Endpoint& inside);
    void erase(uint16_t port);
    // The ports of an inside endpoint, and others.
    template <typename F> void for_each_like(const Endpoint& inside, F&& f) const;

   private:
    static constexpr std::size_t page_size = 256, pages = 65'536 / page_size, neighbours = 4, rings = 65'536 / neighbours;
    struct Page {
      std::array<Rest, page_size> rests{};
      std::size_t count = 0;
    };
    uint16_t& newest_of(const Endpoint& inside) const {
      return newest_[(std::hash<Address>{}(inside.address) + inside.port / neighbours) % rings];
    }
    std::vector<std::unique_ptr<Page>> pages_;  // all or none
    std::unique_ptr<uint16_t[]> newest_;         // port of each ring; 0: none
    std::size_t count_ = 0;
  };
  struct End {
    uint32_t place;
    uint16_t port;
    Instant until;
  };
  Place* find(Protocol protocol, const Address& outside) const;
  Rest* find(Protocol protocol, const Endpoint& outside) const;
  void erase(Place& place, uint16_t port);
  bool is_last(const End& end) const;  // of its port
  std::vector<std::unique_ptr<Place>> places_;
  std::map<std::pair<Protocol, Address>, uint32_t> numbers_;  // in places_
  std::deque<End> in_order_;  // some are over: their port is at rest again, until later
  std::size_t size_ = 0;
};

}  // namespace sipalg
