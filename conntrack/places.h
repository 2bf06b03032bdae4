// SPDX-License-Identifier: GPL-2.0-or-later
// Records by number, and numbers by hash: the two containers the kernel edge keeps its doors in.
//
// How it works. With 400,000 doors a node-based map costs more than what it holds. Places hands out the lowest free number
// and keeps its records in chunks, which come and go whole: nothing is ever moved, and what a busy hour took is given
// back after it. PlaceIndex finds numbers by a hash that the caller computes; it does not know the records, so callers
// compare what it finds. It is open addressing with linear probing, in 64 parts by the hash's highest bits: each grows
// on its own, so no insertion ever moves more than a 64th of all.
// Proved by test/conntrack (places).
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sipalg {

inline constexpr uint32_t no_place = UINT32_MAX;

template <typename T> class Places {
 public:
  // The lowest free number; the record is as T{}.
  uint32_t insert() {
    while (first_with_room_ < chunks_.size() && chunks_[first_with_room_] && chunks_[first_with_room_]->used == chunk_size) ++first_with_room_;
    if (first_with_room_ == chunks_.size()) chunks_.emplace_back();
    auto& chunk = chunks_[first_with_room_];
    if (!chunk) chunk = spare_ ? std::move(spare_) : std::make_unique<Chunk>();
    const uint32_t at = chunk->lowest_free();
    chunk->take(at);
    ++size_;
    return static_cast<uint32_t>(first_with_room_) * chunk_size + at;
  }
  void erase(uint32_t place) {
    auto& chunk = chunks_[place / chunk_size];
    chunk->give(place % chunk_size);
    --size_;
    first_with_room_ = std::min(first_with_room_, std::size_t{place / chunk_size});
    if (chunk->used > 0) return;
    if (!spare_) spare_ = std::move(chunk); // one is kept: a single call that comes and goes takes no memory each time
    chunk.reset();
    while (!chunks_.empty() && !chunks_.back()) chunks_.pop_back();
  }
  bool contains(uint32_t place) const {
    const std::size_t chunk = place / chunk_size;
    return chunk < chunks_.size() && chunks_[chunk] && chunks_[chunk]->is_taken(place % chunk_size);
  }
  T& operator[](uint32_t place) { return chunks_[place / chunk_size]->records[place % chunk_size]; }
  const T& operator[](uint32_t place) const { return chunks_[place / chunk_size]->records[place % chunk_size]; }
  std::size_t size() const { return size_; }
  // All taken numbers below this one, in order; the callback may erase the one it is given.
  template <typename F> void for_each(F&& f) {
    for (uint32_t place = 0; place < chunks_.size() * chunk_size; ++place)
      if (contains(place)) f(place);
  }

 private:
  static constexpr uint32_t chunk_size = 512;
  struct Chunk {
    std::array<T, chunk_size> records{};
    std::array<uint64_t, chunk_size / 64> taken{};
    uint32_t used = 0;
    bool is_taken(uint32_t at) const { return (taken[at / 64] >> at % 64 & 1) != 0; }
    uint32_t lowest_free() const {
      uint32_t word = 0;
      while (taken[word] == ~uint64_t{0}) ++word;
      return word * 64 + static_cast<uint32_t>(std::countr_one(taken[word]));
    }
    void take(uint32_t at) {
      taken[at / 64] |= uint64_t{1} << at % 64;
      ++used;
    }
    void give(uint32_t at) {
      taken[at / 64] &= ~(uint64_t{1} << at % 64);
      records[at] = T{};
      --used;
    }
  };
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::unique_ptr<Chunk> spare_;
  std::size_t first_with_room_ = 0, size_ = 0;
};

class PlaceIndex {
 public:
  // The same pair may be there once only.
  void insert(uint32_t hash, uint32_t place) {
    Part& part = part_of(hash);
    if ((part.used + 1) * 5 > part.entries.size() * 4) resize(part, std::max<std::size_t>(smallest, 2 * part.entries.size()));
    put(part, {hash, place});
    ++part.used;
  }
  void erase(uint32_t hash, uint32_t place) {
    Part& part = part_of(hash);
    if (part.entries.empty()) return;
    const std::size_t mask = part.entries.size() - 1;
    std::size_t at = hash & mask;
    for (; part.entries[at].place != place || part.entries[at].hash != hash; at = (at + 1) & mask)
      if (part.entries[at].place == no_place) return;
    close_gap(part, at);
    if (--part.used * 8 < part.entries.size() && part.entries.size() > smallest) resize(part, part.entries.size() / 2);
  }
  // Is there a place with this hash that `is_it` says yes to? Asks for each, in no order. The index must not change meanwhile.
  template <typename F> bool any_of(uint32_t hash, F&& is_it) const {
    const Part& part = parts_[hash >> part_shift];
    if (part.entries.empty()) return false;
    const std::size_t mask = part.entries.size() - 1;
    for (std::size_t at = hash & mask; part.entries[at].place != no_place; at = (at + 1) & mask)
      if (part.entries[at].hash == hash && is_it(part.entries[at].place)) return true;
    return false;
  }
  void clear() { parts_ = {}; }

 private:
  static constexpr std::size_t smallest = 8;
  static constexpr unsigned part_shift = 26;
  struct Entry {
    uint32_t hash = 0, place = no_place;
  };
  struct Part {
    std::vector<Entry> entries; // a power of two, at most four fifths taken
    std::size_t used = 0;
  };
  Part& part_of(uint32_t hash) { return parts_[hash >> part_shift]; }
  static void put(Part& part, Entry entry) {
    const std::size_t mask = part.entries.size() - 1;
    std::size_t at = entry.hash & mask;
    while (part.entries[at].place != no_place) at = (at + 1) & mask;
    part.entries[at] = entry;
  }
  static void resize(Part& part, std::size_t size) {
    std::vector<Entry> old(size);
    old.swap(part.entries);
    for (const Entry& entry : old)
      if (entry.place != no_place) put(part, entry);
  }
  // What stands behind the gap and could stand in it moves there; so no search ends too early.
  static void close_gap(Part& part, std::size_t gap) {
    const std::size_t mask = part.entries.size() - 1;
    for (std::size_t at = (gap + 1) & mask; part.entries[at].place != no_place; at = (at + 1) & mask) {
      const std::size_t home = part.entries[at].hash & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      part.entries[gap] = part.entries[at];
      gap = at;
    }
    part.entries[gap] = {};
  }
  std::array<Part, 64> parts_;
};

} // namespace sipalg
