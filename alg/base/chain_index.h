// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the records of a Slab by a hash. The chains run through the records themselves: nothing is allocated for an entry.
// std::unordered_multimap does the same with a node of 40 bytes and an allocation for each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

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
    if (size_ * heads_for_four >= 4 * heads_.size()) resize(heads_.empty() ? 64 : 2 * heads_.size());
    order == Found::oldest_first ? put_last(Slab<T>::place_of(id)) : put_first(Slab<T>::place_of(id));
    ++size_;
  }
  // Before the record goes from the slab.
  void erase(Id id) {
    const uint32_t place = Slab<T>::place_of(id);
    const T& gone = records_.at(place);
    uint32_t* at = &head_of(hash_of_(gone));
    while (*at != place + 1) at = &(records_.at(*at - 1).*next);
    *at = gone.*next;
    --size_;
    if (heads_.size() > 64 && 2 * size_ * heads_for_four < heads_.size()) resize(heads_.size() / 4);
  }
  // The first of this hash that `is_it(record)` takes; 0: none. It sees records of other hashes, too.
  template <typename F> Id find(std::size_t hash, F&& is_it) const {
    if (heads_.empty()) return 0;
    for (uint32_t at = heads_[place_of(hash)]; at != 0;) {
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
    if (!heads_.empty()) sipalg::prefetch(&heads_[place_of(hash)], 1);
  }
  void prefetch_first(std::size_t hash) const {
    if (heads_.empty()) return;
    if (const uint32_t first = heads_[place_of(hash)]; first != 0) records_.prefetch_at(first - 1);
  }
  std::size_t size() const { return size_; }

 private:
  std::size_t place_of(std::size_t hash) const { return (hash ^ hash >> 32) & (heads_.size() - 1); }
  uint32_t& head_of(std::size_t hash) { return heads_[place_of(hash)]; }
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
    std::vector<uint32_t> old(heads, 0);
    old.swap(heads_);
    for (uint32_t at : old)
      while (at != 0) {
        const uint32_t place = at - 1;
        at = records_.at(place).*next;
        put_last(place);
      }
  }
  Slab<T>& records_;
  HashOf hash_of_;
  std::vector<uint32_t> heads_;  // a power of two of them
  std::size_t size_ = 0;
};

}  // namespace sipalg
