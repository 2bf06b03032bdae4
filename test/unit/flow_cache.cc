// SPDX-License-Identifier: GPL-2.0-or-later
// The cache of flows: what it gives is always what was put in last, and it forgets rather than grows past its bound.
#include <catch2/catch.hpp>
#include <chrono>

#include "conntrack/flow_cache.h"

using namespace sipalg;
using namespace std::chrono_literals;

namespace {

Tuple header(uint32_t number) {
  const Endpoint phone{Address::v4({10, static_cast<uint8_t>(number >> 16), static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)}), 5060};
  return {Protocol::udp, phone, {Address::v4({203, 0, 113, 2}), 5060}};
}

// One that tells whose it is.
Flow flow(uint32_t number) {
  Flow flow;
  flow.sender.inside = header(number).source;
  return flow;
}

bool has(FlowCache& cache, uint32_t number, Instant now) {
  const Flow* found = cache.find(header(number), now);
  if (found) REQUIRE(*found == flow(number));
  return found != nullptr;
}

}  // namespace

TEST_CASE("a flow is found until its time, or until it is erased") {
  FlowCache cache;
  const Instant now{1h};
  CHECK_FALSE(has(cache, 1, now));
  cache.insert(header(1), flow(1), now, now + 5s);
  CHECK(has(cache, 1, now + 4999ms));
  CHECK_FALSE(has(cache, 1, now + 5s));
  CHECK_FALSE(cache.find(header(1).inverse(), now));
  cache.insert(header(1), flow(2), now, now + 9s);
  REQUIRE(cache.find(header(1), now + 8s));
  CHECK(*cache.find(header(1), now + 8s) == flow(2));
  cache.erase(header(1));
  CHECK_FALSE(cache.find(header(1), now));
  cache.erase(header(7));
}

TEST_CASE("it grows with what lives, and reuses what has ended") {
  FlowCache cache;
  Instant now{1h};
  const std::size_t before = cache.places();
  for (uint32_t number = 0; number < 100'000; ++number, now += 10ms) {
    cache.insert(header(number), flow(number), now, now + 50ms);
    REQUIRE(has(cache, number, now));
  }
  CHECK(cache.places() == before);
  for (uint32_t number = 0; number < 5'000; ++number) cache.insert(header(number), flow(number), now, now + 5s);
  uint32_t kept = 0;
  for (uint32_t number = 0; number < 5'000; ++number) kept += has(cache, number, now);
  CHECK(kept > 4'850);
  CHECK(cache.places() > 5'000);
  CHECK(cache.places() <= 4 * 5'000);
}

TEST_CASE("past its bound what ends first makes room") {
  FlowCache cache;
  const Instant now{1h};
  uint32_t kept = 0;
  for (uint32_t number = 0; number < 3 * FlowCache::most; ++number) {
    cache.insert(header(number), flow(number), now, now + 1s + std::chrono::milliseconds(number));
    REQUIRE(has(cache, number, now));
  }
  CHECK(cache.places() == FlowCache::most);
  for (uint32_t number = 2 * FlowCache::most; number < 3 * FlowCache::most; ++number) kept += has(cache, number, now);
  CHECK(kept > FlowCache::most * 3 / 4);
}

TEST_CASE("flows that live at once do not take each other's places") {
  const Instant now{1h};
  for (uint32_t group = 0; group < 300; ++group) {
    FlowCache cache;
    uint32_t missing = 64;
    for (int turn = 0; turn < 4 && missing > 0; ++turn) {  // packets of all, in turn
      missing = 0;
      for (uint32_t number = group * 64; number < (group + 1) * 64; ++number) {
        if (has(cache, number, now)) continue;
        ++missing;
        cache.insert(header(number), flow(number), now, now + 5s);
      }
    }
    CAPTURE(group, cache.places());
    CHECK(missing == 0);
    CHECK(cache.places() <= 2048);
  }
}
