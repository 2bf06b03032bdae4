// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the records of a Slab by a hash. The chains run through the records themselves: nothing is allocated for an entry.
// std::unordered_multimap does the same with a node of 40 bytes and an allocation for each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "alg/base/slab.h"

namespace sipalg {

// What a record keeps for one index it stands in.
struct ChainLink {
  uint32_t hash = 0;
  uint32_t next = 0;  // index + 1 of the next record in the chain; 0: none
};

// `link`: which member of the record is this index's. Several records may have one hash, and are found in no order.
template <typename T, ChainLink T::*link> class ChainIndex {
 public:
  using Id = typename Slab<T>::Id;

  explicit ChainIndex(Slab<T>& records) : records_(records) {}

  void insert(Id id, std::size_t hash) {
    // half of them empty: what is not there is mostly known without a look at another record
    if (2 * size_ >= heads_.size()) resize(heads_.empty() ? 64 : 2 * heads_.size());
    ChainLink& l = records_.find(id)->*link;
    l.hash = fold(hash);
    put(Slab<T>::place_of(id), l);
    ++size_;
  }
  // Before the record goes from the slab.
  void erase(Id id) {
    const uint32_t place = Slab<T>::place_of(id);
    const ChainLink gone = records_.find(id)->*link;
    uint32_t* at = &heads_[gone.hash & (heads_.size() - 1)];
    while (*at != place + 1) at = &(records_.at(*at - 1).*link).next;
    *at = gone.next;
    --size_;
    if (heads_.size() > 64 && size_ < heads_.size() / 16) resize(heads_.size() / 4);
  }
  // The first of this hash that `is_it(record)` takes; 0: none.
  template <typename F> Id find(std::size_t hash, F&& is_it) const {
    if (heads_.empty()) return 0;
    const uint32_t wanted = fold(hash);
    for (uint32_t at = heads_[wanted & (heads_.size() - 1)]; at != 0;) {
      const T& record = records_.at(at - 1);
      if ((record.*link).hash == wanted && is_it(record)) return records_.id_at(at - 1);
      at = (record.*link).next;
    }
    return 0;
  }
  template <typename F> void for_each(std::size_t hash, F&& f) const {
    find(hash, [&](const T& record) {
      f(record);
      return false;
    });
  }
  std::size_t size() const { return size_; }

 private:
  static uint32_t fold(std::size_t hash) { return static_cast<uint32_t>(hash ^ hash >> 32); }
  void put(uint32_t place, ChainLink& l) {
    uint32_t& head = heads_[l.hash & (heads_.size() - 1)];
    l.next = head;
    head = place + 1;
  }
  void resize(std::size_t heads) {
    std::vector<uint32_t> old(heads, 0);
    old.swap(heads_);
    for (uint32_t at : old)
      while (at != 0) {
        const uint32_t place = at - 1;
        ChainLink& l = records_.at(place).*link;
        at = l.next;
        put(place, l);
      }
  }
  Slab<T>& records_;
  std::vector<uint32_t> heads_;  // a power of two of them; as ChainLink::next
  std::size_t size_ = 0;
};

}  // namespace sipalg
