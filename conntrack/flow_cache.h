// SPDX-License-Identifier: GPL-2.0-or-later
// Flows by the header of their packets, each for a time.
//
// How it works. A table of sets with four places each; the hash of a header names two sets, and the one with more room takes it. (If
// it named one, each fourth router with 64 flows in as many sets would have a set that five want, and they would take each other's
// places with every packet.) Nothing is allocated or freed for a flow, so that no packet waits while thousands of them end. Where
// both sets are full of living flows the table grows, if half of the places around are taken, up to `most` places; else the one that
// ends first makes room. What is gone costs whoever asks for it one lookup.
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

  const Flow* find(const Tuple& header, Instant now); // borrows until the next change
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
  std::array<std::size_t, 2> indexes_of(std::size_t hash) const { // of a power of two
    return {hash & (sets_.size() - 1), hash >> 20 & (sets_.size() - 1)};
  }
  Entry* find_entry(const Tuple& header, std::size_t hash);
  static std::size_t living_in(const Set& set, Instant now);
  bool is_crowded(std::size_t index, Instant now) const;
  void grow(Instant now);

  std::vector<Set> sets_ = std::vector<Set>(least_sets);
};

} // namespace sipalg
