// SPDX-License-Identifier: GPL-2.0-or-later
// Records with stable addresses and ids that are never reused for another record. Places are filled from the lowest up and
// given back from the highest down, so that what a busy hour took is free again after it.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "alg/base/prefetch.h"

namespace sipalg {

// An id is (generation << 32 | index + 1); 0 is none. An id of an erased record finds nothing, even when its place was
// given to another.
//
// Places come in chunks of 64, so that one word tells which of a chunk are taken and one bit of `roomy_` whether one is free:
// the lowest free place is found by two looks, without a list of free places. Generations stand apart from the records, which
// need no padding for them; the one of a free place was never given out.
//
// A record that has recycle() is emptied by that and keeps the memory of its strings and lists for the next one in its place,
// so that records that come and go allocate nothing; others are made anew.
template <typename T> class Slab {
 public:
  using Id = uint64_t;

  // An empty record.
  std::pair<Id, T&> add() {
    const std::size_t chunk = roomy_chunk();
    Chunk& c = *chunks_[chunk];
    const auto at = static_cast<std::size_t>(std::countr_one(c.taken));
    c.taken |= uint64_t{1} << at;
    if (c.taken == full) roomy_[chunk / 64] &= ~(uint64_t{1} << chunk % 64);
    ++size_;
    const auto index = static_cast<uint32_t>(chunk * 64 + at);
    return {id_of(c, index), c.values[at]};
  }
  Id insert(T value) {
    const auto [id, place] = add();
    place = std::move(value);
    return id;
  }
  T* find(Id id) {
    const uint32_t index = place_of(id);  // of 0: beyond all
    if (index / 64 >= chunks_.size()) return nullptr;
    Chunk& chunk = *chunks_[index / 64];
    return chunk.generations[index % 64] == static_cast<uint32_t>(id >> 32) ? &chunk.values[index % 64] : nullptr;
  }
  const T* find(Id id) const { return const_cast<Slab*>(this)->find(id); }
  // For one that is wanted in some hundred instructions: what find() and its caller read comes into the processor's cache meanwhile.
  void prefetch(Id id) const {
    const uint32_t index = place_of(id);
    if (index / 64 < chunks_.size()) prefetch_at(index);
  }
  bool erase(Id id) {
    if (!find(id)) return false;
    const uint32_t index = place_of(id);
    Chunk& chunk = *chunks_[index / 64];
    chunk.generations[index % 64] = (chunk.generations[index % 64] + 1) & most_generation;
    empty(chunk.values[index % 64]);
    chunk.taken &= ~(uint64_t{1} << index % 64);
    roomy_[index / 64 / 64] |= uint64_t{1} << index / 64 % 64;
    lowest_roomy_ = std::min<std::size_t>(lowest_roomy_, index / 64 / 64);
    --size_;
    give_back();
    return true;
  }
  std::size_t size() const { return size_; }

  // For an index over the records: where one stands, and what stands there. Precondition: a living one.
  static uint32_t place_of(Id id) { return static_cast<uint32_t>(id & 0xffffffffU) - 1; }
  T& at(uint32_t place) { return chunks_[place / 64]->values[place % 64]; }
  const T& at(uint32_t place) const { return chunks_[place / 64]->values[place % 64]; }
  void prefetch_at(uint32_t place) const {
    const Chunk& chunk = *chunks_[place / 64];
    sipalg::prefetch(&chunk.generations[place % 64], 1);
    sipalg::prefetch(&chunk.values[place % 64], sizeof(T));
  }
  Id id_at(uint32_t place) const { return id_of(*chunks_[place / 64], place); }

  template <typename F> void for_each(F&& f) const {
    for (std::size_t c = 0; c < chunks_.size(); ++c)
      for (uint64_t taken = chunks_[c]->taken; taken != 0; taken &= taken - 1) {
        const auto at = static_cast<std::size_t>(std::countr_zero(taken));
        f(id_of(*chunks_[c], static_cast<uint32_t>(c * 64 + at)), std::as_const(chunks_[c]->values[at]));
      }
  }
  template <typename F> bool any_of(F&& f) const {
    for (const auto& chunk : chunks_)
      for (uint64_t taken = chunk->taken; taken != 0; taken &= taken - 1)
        if (f(std::as_const(chunk->values[static_cast<std::size_t>(std::countr_zero(taken))]))) return true;
    return false;
  }
  std::vector<Id> ids() const {
    std::vector<Id> out;
    for_each([&](Id id, const T&) { out.push_back(id); });
    return out;
  }

 private:
  static constexpr uint64_t full = ~uint64_t{0};
  static constexpr uint32_t most_generation = 0x7fff'ffff;  // ids leave their highest bit to others (few_numbers.h)
  struct Chunk {
    uint64_t taken = 0;
    std::array<uint32_t, 64> generations{};
    std::array<T, 64> values{};
  };
  static Id id_of(const Chunk& chunk, uint32_t index) { return static_cast<Id>(chunk.generations[index % 64]) << 32 | (index + 1); }
  static void empty(T& value) {
    if constexpr (requires { value.recycle(); })
      value.recycle();
    else
      value = T{};
  }
  // The lowest chunk with a free place; a new one where there is none.
  std::size_t roomy_chunk() {
    for (; lowest_roomy_ < roomy_.size(); ++lowest_roomy_)
      if (roomy_[lowest_roomy_] != 0) return lowest_roomy_ * 64 + static_cast<std::size_t>(std::countr_zero(roomy_[lowest_roomy_]));
    const std::size_t chunk = chunks_.size();
    chunks_.push_back(std::make_unique<Chunk>());
    chunks_.back()->generations.fill(next_generation_);
    if (chunk / 64 == roomy_.size()) roomy_.push_back(0);
    roomy_[chunk / 64] |= uint64_t{1} << chunk % 64;
    lowest_roomy_ = chunk / 64;
    return chunk;
  }
  // One empty chunk is kept for the next record. A place that comes again must not have an id of its former self.
  void give_back() {
    while (chunks_.size() > 1 && chunks_.back()->taken == 0 && chunks_[chunks_.size() - 2]->taken == 0) {
      next_generation_ = std::max(next_generation_, *std::ranges::max_element(chunks_.back()->generations));
      chunks_.pop_back();
      roomy_[chunks_.size() / 64] &= ~(uint64_t{1} << chunks_.size() % 64);
    }
    roomy_.resize((chunks_.size() + 63) / 64);
  }
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<uint64_t> roomy_;    // a bit for each chunk: has it a free place?
  std::size_t lowest_roomy_ = 0;   // no word before it has a bit
  uint32_t next_generation_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sipalg
