// SPDX-License-Identifier: GPL-2.0-or-later
// How many of a table's records each host has, about: enough to keep one from taking all.
#pragma once
#include <array>
#include <cstdint>

#include "alg/base/endpoint.h"

namespace sipalg {

// Hosts whose addresses share a place count together: a host is told too many at worst, never too few. Without an allocation, in
// a place that a busy host has in the cache.
class HostShares {
 public:
  uint32_t of(const Address& host) const { return counts_[place_of(host)]; }
  void add(const Address& host) { ++counts_[place_of(host)]; }
  void remove(const Address& host) { --counts_[place_of(host)]; }

 private:
  static constexpr std::size_t places = 4096;
  static std::size_t place_of(const Address& host) { return hash_of(host, 0) % places; }
  std::array<uint32_t, places> counts_{};
};

}  // namespace sipalg
