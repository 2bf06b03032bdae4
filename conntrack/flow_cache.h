// SPDX-License-Identifier: GPL-2.0-or-later
// Flows by the header of their packets, each for a time.
//
// How it works. A table of sets with four places each; the hash of a header names its set. Nothing is allocated or freed for a
// flow, so that no packet waits while thousands of them end. In a set that is full of living flows the one that ends first makes
// room; when half of the places around are taken by living ones the table grows, up to `most` places. What is gone costs whoever
// asks for it one lookup.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "alg/base/instant.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/flow.h"

namespace sipalg {

class FlowCache {
 public:
  static constexpr std::size_t most = 65'536; // 10 MiB

  const Flow* find(const Tuple& header, Instant now) const; // borrows until the next change
  void insert(const Tuple& header, const Flow& flow, Instant now, Instant until);
  void erase(const Tuple& header);
  std::size_t places() const { return sets_.size() * ways; }

 private:
  static constexpr std::size_t ways = 4, least_sets = 64, around = 16;
  struct Entry {
    Tuple header;
    Flow flow;
    Instant until{}; // in the past: the place is free
  };
  struct Set {
    std::array<uint32_t, ways> tags{}; // of the hashes, so that another header is seldom compared
    std::array<Entry, ways> entries;
  };
  static std::size_t hash_of(const Tuple& header);
  static uint32_t tag_of(std::size_t hash) { return static_cast<uint32_t>(hash >> 32); }
  std::size_t index_of(std::size_t hash) const { return hash & (sets_.size() - 1); } // a power of two
  static std::size_t place_in(const Set& set, const Tuple& header, uint32_t tag);
  bool is_crowded(std::size_t index, Instant now) const;
  void grow(Instant now);

  std::vector<Set> sets_ = std::vector<Set>(least_sets);
};

} // namespace sipalg
