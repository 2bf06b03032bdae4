// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/timer_wheel.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace sipalg;
using namespace std::chrono_literals;

TEST_CASE("deadlines come in their order, none before its time, whatever their distance") {
  TimerWheel wheel;
  std::multiset<std::pair<Instant, uint64_t>> expected;
  std::mt19937 random(1);
  Instant now{12h};
  uint64_t last = 0;
  const auto add = [&](std::chrono::milliseconds in) {
    wheel.add({now + in, ++last, 0});
    expected.insert({now + in, last});
  };
  const auto take = [&](Instant until) {
    TimerWheel::Deadline deadline;
    Instant before{};
    while (wheel.take_due(until, deadline)) {
      REQUIRE(deadline.when <= until);
      REQUIRE(deadline.when >= before);
      before = deadline.when;
      const auto found = expected.find({deadline.when, deadline.id});
      REQUIRE(found != expected.end());
      expected.erase(found);
      if (random() % 8 == 0) add(std::chrono::milliseconds{random() % 40'000});  // what ends may begin something
    }
    REQUIRE((expected.empty() || expected.begin()->first > until));
    REQUIRE(wheel.next() == (expected.empty() ? Instant::max() : expected.begin()->first));
    REQUIRE(wheel.size() == expected.size());
  };
  constexpr std::chrono::milliseconds distances[]{0ms, 1ms, 127ms, 128ms, 5s, 32s, 65'536ms, 3min, 1h, 9h, 10h, 24h, 168h};
  for (int round = 0; round < 3000; ++round) {
    for (auto i = random() % 6; i > 0; --i)
      add(distances[random() % std::size(distances)] + std::chrono::milliseconds{random() % 300});
    now = std::max(now, random() % 3 == 0 && !expected.empty() ? wheel.next() : now + std::chrono::milliseconds{random() % (random() % 50 == 0 ? 40'000'000 : 2000)});
    take(now);
  }
  for (now += 400h; !expected.empty(); now += 1min) take(now);
}

TEST_CASE("a deadline in the past is due at once") {
  TimerWheel wheel;
  for (uint64_t id : {1, 2, 3}) wheel.add({Instant{1h}, id, static_cast<uint8_t>(id)});
  TimerWheel::Deadline deadline;
  CHECK_FALSE(wheel.take_due(Instant{1h} - 1ms, deadline));
  REQUIRE(wheel.take_due(Instant{2h}, deadline));
  wheel.add({Instant{30min}, 4, 0});
  CHECK(wheel.next() == Instant{30min});
  REQUIRE(wheel.take_due(Instant{2h}, deadline));
  CHECK(deadline.id == 4);
  wheel.clear();
  CHECK(wheel.next() == Instant::max());
  CHECK(wheel.size() == 0);
  CHECK_FALSE(wheel.take_due(Instant{1000h}, deadline));
}
