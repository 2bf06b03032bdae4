// SPDX-License-Identifier: GPL-2.0-or-later
// Many deadlines of few lengths: adding one and finding the next cost the same however many there are. (The binary heap of the
// standard library costs some twenty cache misses with 300,000 transactions.)
//
// How it works
//   Time is cut in slots of 4 ms. `due_` has the deadlines of the current slot (and older ones), in order; `near_`, a ring, those of
//   the next 65 s, which is what nearly all of a busy second are about; `far_` those of the next 512 blocks of 65 s (9.3 hours),
//   `beyond_` the rest. When a slot becomes the current one, its few deadlines are put in order; when a block does, its move to the
//   ring. So no moment has much to do. Deadlines are exact: a slot only gathers them.
//   Nodes of all lists live in one slab, so that deadlines that come and go allocate nothing.
#pragma once
#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "alg/base/instant.h"
#include "alg/base/slab.h"

namespace sipalg {

class TimerWheel {
 public:
  struct Deadline {
    Instant when;
    uint64_t id = 0;
    uint8_t kind = 0;
  };
  void add(const Deadline& deadline);
  // The earliest that is due at `now`, taken out; false: there is none.
  bool take_due(Instant now, Deadline& deadline);
  Instant next() const { return next_; }  // exact; Instant::max(): there is none
  std::size_t size() const { return nodes_.size() + due_.size(); }
  void clear();

 private:
  static constexpr int slot_bits = 2, block_bits = 14, ring_bits = 9;
  static constexpr std::size_t slots = std::size_t{1} << block_bits, blocks = std::size_t{1} << ring_bits;
  struct Node {  // a Deadline
    std::array<uint32_t, 2> id{};
    uint32_t next = 0;  // its place in nodes_ + 1; 0: none
    ShortInstant when;
    uint8_t kind = 0;
    Deadline deadline() const { return {when, std::bit_cast<uint64_t>(id), kind}; }
  };
  static_assert(sizeof(Node) == 20);  // each call that stands has one
  struct List {
    uint32_t first = 0;  // as Node::next
    Instant earliest = Instant::max();
  };
  // A ring of lists, and a bit for each that has something.
  template <std::size_t n> struct Wheel {
    std::array<List, n> lists{};
    std::array<uint64_t, n / 64> filled{};
    // The earliest in it, when the list at `from` is the first in time.
    Instant earliest(std::size_t from) const;
  };
  static int64_t slot_of(Instant when) { return when.time_since_epoch().count() >> slot_bits; }
  static int64_t block_of(int64_t slot) { return slot >> block_bits; }
  void put(List& list, const Deadline& deadline);
  template <std::size_t n> void put(Wheel<n>& wheel, int64_t place, const Deadline& deadline);
  void add_due(const Deadline& deadline);
  void spread(List& list);
  template <std::size_t n> void spread(Wheel<n>& wheel, int64_t place);
  void turn_to(int64_t slot);
  void find_next();

  int64_t current_ = 0;  // slot
  std::vector<Deadline> due_;  // the earliest last
  std::unique_ptr<Wheel<slots>> near_ = std::make_unique<Wheel<slots>>();
  std::unique_ptr<Wheel<blocks>> far_ = std::make_unique<Wheel<blocks>>();
  List beyond_;
  Slab<Node> nodes_;
  Instant next_ = Instant::max();
};

}  // namespace sipalg
