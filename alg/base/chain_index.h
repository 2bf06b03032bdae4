// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the records of a Slab by a hash. The chains run through the records themselves: nothing is allocated for an entry.
// std::unordered_multimap does the same with a node of 40 bytes and an allocation for each.
//
// How it works. The table has twice as many heads, or a fourth, when there are too many or too few records for it. All of them
// moved at once would let packets wait, 2 ms with 30,000 records, and in the busiest hour. So the old heads stay beside the new
// ones, and each record that comes or goes moves some of them, the first ones first: what an old head led to is found by the new
// ones when that head has moved, and by the old ones until then. They are all moved long before the next change of size.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "alg/base/slab.h"

namespace sipalg {

// Of the records of one hash.
enum class Found : uint8_t { oldest_first, newest_first };

// `next`: the member of the record that is this index's own: index + 1 of the next record in its chain; 0: none. `HashOf` tells
// a record's hash, whenever it moves: it stays the same from insert to erase. Several records may have one hash, and are found in
// `order`, however the table grows. `heads_for_four` records: few take little memory; with many, what is not there is mostly known
// without a look at a record, which may have left the cache.
template <typename T, uint32_t T::*next, typename HashOf, Found order = Found::oldest_first, std::size_t heads_for_four = 2>
class ChainIndex {
 public:
  using Id = typename Slab<T>::Id;

  explicit ChainIndex(Slab<T>& records, HashOf hash_of = {}) : records_(records), hash_of_(hash_of) {}

  void insert(Id id) {
    if (size_ * heads_for_four >= 4 * now_.count) resize(now_.count == 0 ? fewest : 2 * now_.count);
    order == Found::oldest_first ? put_last(Slab<T>::place_of(id)) : put_first(Slab<T>::place_of(id));
    ++size_;
    move_some();
  }
  // Before the record goes from the slab.
  void erase(Id id) {
    const uint32_t place = Slab<T>::place_of(id);
    const T& gone = records_.at(place);
    uint32_t* at = &head_of(hash_of_(gone));
    while (*at != place + 1) at = &(records_.at(*at - 1).*next);
    *at = gone.*next;
    --size_;
    if (now_.count > fewest && 2 * size_ * heads_for_four < now_.count) shrink();
    move_some();
  }
  // The first of this hash that `is_it(record)` takes; 0: none. It sees records of other hashes, too.
  template <typename F> Id find(std::size_t hash, F&& is_it) const {
    if (now_.count == 0) return 0;
    for (uint32_t at = head_of(hash); at != 0;) {
      const T& record = records_.at(at - 1);
      if (is_it(record)) return records_.id_at(at - 1);
      at = record.*next;
    }
    return 0;
  }
  template <typename F> void for_each(std::size_t hash, F&& f) const {
    find(hash, [&](const T& record) {
      f(record);
      return false;
    });
  }
  // For a search to come: first where its chain begins, and when that has come, the chain's first record.
  void prefetch(std::size_t hash) const {
    if (now_.count != 0) sipalg::prefetch(&head_of(hash), 1);
  }
  void prefetch_first(std::size_t hash) const {
    if (now_.count == 0) return;
    if (const uint32_t first = head_of(hash); first != 0) records_.prefetch_at(first - 1);
  }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t fewest = 64;
  // More than what comes before the next change of size needs: a fourth of heads_for_four heads a record after doubling, not
  // quite three times as many as heads_for_four after shrinking.
  static constexpr std::size_t moved_at_once = 3 * heads_for_four;
  struct Free {
    void operator()(uint32_t* heads) const { std::free(heads); }
  };
  struct Heads {
    std::unique_ptr<uint32_t[], Free> first;
    std::size_t count = 0;  // a power of two, or none
    uint32_t& of(std::size_t mixed) const { return first[mixed & (count - 1)]; }
  };

  uint32_t& head_of(std::size_t hash) const {
    const std::size_t mixed = hash ^ hash >> 32;
    if (old_.count != 0 && (mixed & (old_.count - 1)) >= moved_) [[unlikely]] return old_.of(mixed);
    return now_.of(mixed);
  }
  void put_first(uint32_t place) {
    T& record = records_.at(place);
    uint32_t& head = head_of(hash_of_(record));
    record.*next = head;
    head = place + 1;
  }
  void put_last(uint32_t place) {
    T& record = records_.at(place);
    uint32_t* at = &head_of(hash_of_(record));
    while (*at != 0) at = &(records_.at(*at - 1).*next);
    record.*next = 0;
    *at = place + 1;
  }
  void resize(std::size_t heads) {
    if (!try_resize(heads)) throw std::bad_alloc();
  }
  // What goes must not fail: with too many heads all is found, too.
  void shrink() { static_cast<void>(try_resize(now_.count / 4)); }
  bool try_resize(std::size_t heads) {
    // calloc leaves it to the kernel to make many of them zero, a page at a time
    decltype(Heads::first) first(static_cast<uint32_t*>(std::calloc(heads, sizeof(uint32_t))));
    if (!first) return false;
    while (old_.count != 0) move_head();
    old_ = std::exchange(now_, {std::move(first), heads});
    moved_ = 0;
    return true;
  }
  void move_some() {
    for (std::size_t i = 0; i < moved_at_once && old_.count != 0; ++i) move_head();
  }
  // In the same order: all records of one hash move together.
  void move_head() {
    uint32_t at = std::exchange(old_.first[moved_], 0);
    ++moved_;
    while (at != 0) {
      const uint32_t place = at - 1;
      at = records_.at(place).*next;
      put_last(place);
    }
    if (moved_ == old_.count) old_ = {};
  }

  Slab<T>& records_;
  HashOf hash_of_;
  Heads now_, old_;        // old_: only while some of its heads have not moved
  std::size_t moved_ = 0;  // so many of old_
  std::size_t size_ = 0;
};

}  // namespace sipalg
