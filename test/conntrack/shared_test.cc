// SPDX-License-Identifier: GPL-2.0-or-later
// Several threads and one keeper of doors in the real kernel. Runs under ThreadSanitizer, too.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "conntrack/shared_door_keeper.h"
#include "test/conntrack/door_router.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

constexpr int workers = 3, rounds = 150;

// Opens and closes two doors of its own, again and again at the same place: that was given up a moment ago, and must be free.
struct Caller {
  SharedDoorKeeper& keeper;
  int number;
  int refused = 0, taken = 0;
  void run() {
    const std::string inside = "10.0.0." + std::to_string(number + 2);
    for (int round = 0; round < rounds; ++round) {
      const int port = 20'000 + number * 100 + round / 3 % 10 * 2;
      const auto at = [&](const std::string& host, int p) { return host + ":" + std::to_string(p); };
      const std::vector doors{inbound(at(inside, port).c_str(), at("203.0.113.1", port).c_str()),
                              inbound(at(inside, port + 1).c_str(), at("203.0.113.1", port + 1).c_str())};
      for (const KernelDoor& door : doors) taken += !keeper.is_free(door.protocol, door.outside, door.inside);
      std::vector<DoorHandle> handles(doors.size());
      if (!keeper.open(doors, handles)) ++refused;
      taken += keeper.is_free(doors[0].protocol, doors[0].outside, doors[0].inside);  // it is not, now
      keeper.close(handles);
    }
  }
};

} // namespace

TEST_CASE("workers open and close doors at once, and nothing is left") {
  Router r;
  SharedDoorKeeper shared(r.keeper);
  std::vector<Caller> callers;
  for (int i = 0; i < workers; ++i) callers.push_back({shared, i});
  std::atomic<int> running = workers;
  std::vector<std::thread> threads;
  for (Caller& caller : callers)
    threads.emplace_back([&] {
      caller.run();
      --running;
    });
  for (Instant now{1h}; running > 0; now += 10ms) { // what the daemon's own thread does meanwhile
    static_cast<void>(shared.flush_when_due(now));
    {
      const auto held = shared.lock();
      r.keeper.tick(now);
      r.keeper.on_events();
    }
    std::this_thread::sleep_for(1ms);
  }
  for (std::thread& thread : threads) thread.join();
  for (const Caller& caller : callers) {
    CHECK(caller.refused == 0);
    CHECK(caller.taken == 0);
  }
  CHECK(r.keeper.counters().opened == workers * rounds * 2);
  std::this_thread::sleep_for(longest_wait_of_closings);
  CHECK(shared.flush_when_due(Instant{1h}) == Instant::max());
  CHECK(r.keeper.door_count() == 0);
  CHECK(r.expectations() == 0);
  CHECK(r.anchors() == 0);
}

TEST_CASE("what a question leaves to do is told to whoever ticks the keeper") {
  Router r;
  NfDoorKeeperOptions options;
  options.has_thread = true;
  NfDoorKeeper keeper(r.steering, options);
  SharedDoorKeeper shared(keeper);
  const Instant now{1h};
  keeper.tick(now);
  const Instant idle = keeper.next_tick();
  Instant told = idle;
  shared.set_on_work([&] { told = keeper.next_tick(); });
  CHECK(shared.is_free(Protocol::udp, ep("203.0.113.1:4010"), {}));  // asks the kernel
  CHECK(told == idle);
  std::this_thread::sleep_for(2100ms);  // what it told holds for two seconds
  CHECK(shared.is_free(Protocol::udp, ep("203.0.113.1:4010"), {}));  // is known, and looked for again beside the packets
  CHECK(told < idle);
}
