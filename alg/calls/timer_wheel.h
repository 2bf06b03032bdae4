// SPDX-License-Identifier: GPL-2.0-or-later
// Many deadlines of few lengths: adding one and finding the next cost the same however many there are. (The binary heap of the
// standard library costs some twenty cache misses with 300,000 transactions.)
//
// How it works
//   Time is cut in slots of 128 ms, and in blocks of 512 slots. `due_` has the deadlines of the current slot (and older ones), in
//   order; `near_` those of the later slots of this block; `far_` those of the next 512 blocks (9.3 hours); `beyond_` the rest. When a
//   slot or block becomes the current one, its deadlines move one step nearer. Deadlines are exact: a slot only gathers them.
//   Nodes of all lists live in one slab, so that deadlines that come and go allocate nothing.
#pragma once
#include <array>
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
  static constexpr int slot_bits = 7, block_bits = 9;
  static constexpr std::size_t slots = std::size_t{1} << block_bits;
  struct Node {  // a Deadline
    Instant when;
    uint64_t id = 0;
    uint32_t next = 0;  // its place in nodes_ + 1; 0: none
    uint8_t kind = 0;
  };
  struct List {
    uint32_t first = 0;  // as Node::next
    Instant earliest = Instant::max();
  };
  // 512 lists, and a bit for each that has something.
  struct Wheel {
    std::array<List, slots> lists{};
    std::array<uint64_t, slots / 64> filled{};
    // The first filled one in [from, slots) and then, when it is a ring, in [0, from); slots: none.
    std::size_t first_filled(std::size_t from, bool is_ring) const;
  };
  static int64_t slot_of(Instant when) { return when.time_since_epoch().count() >> slot_bits; }
  static int64_t block_of(int64_t slot) { return slot >> block_bits; }
  void put(List& list, const Deadline& deadline);
  void put(Wheel& wheel, int64_t place, const Deadline& deadline);
  void add_due(const Deadline& deadline);
  void spread(List& list);
  void spread(Wheel& wheel, int64_t place);
  void turn_to(int64_t slot);
  void find_next();

  int64_t current_ = 0;  // slot
  std::vector<Deadline> due_;  // the earliest last
  std::unique_ptr<Wheel> near_ = std::make_unique<Wheel>(), far_ = std::make_unique<Wheel>();
  List beyond_;
  Slab<Node> nodes_;
  Instant next_ = Instant::max();
};

}  // namespace sipalg
