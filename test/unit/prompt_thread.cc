// SPDX-License-Identifier: GPL-2.0-or-later
// A real scheduler, a thread that burns its time and one that sleeps. Root may always ask for the class; where even root is
// refused, the refusal is what there is to see.
#include <catch2/catch.hpp>
#include <sched.h>

#include <functional>
#include <thread>

#include "alg/daemon/prompt_thread.h"

using namespace sipalg;
using namespace std::chrono_literals;

namespace {

// What sched_getscheduler() tells, without the flag that it tells too.
int class_of_this_thread() { return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK; }

// Turns of a loop, each so long, until `is_over`; false after ten seconds.
bool turn_until(PromptThread& thread, const std::function<void()>& turn, const std::function<bool()>& is_over) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!is_over()) {
    if (std::chrono::steady_clock::now() > end) return false;
    turn();
    thread.look();
  }
  return true;
}

void burn() {
  for (const auto end = std::chrono::steady_clock::now() + 1ms; std::chrono::steady_clock::now() < end;) {
  }
}

void rest() { std::this_thread::sleep_for(1ms); }

// In a thread of its own: the test's keeps its class.
void in_a_thread(const std::function<void()>& f) { std::thread(f).join(); }

}  // namespace

TEST_CASE("a thread is of the real-time class while packets leave it time") {
  in_a_thread([] {
    PromptThread thread;
    thread.look();  // before begin() nothing happens
    REQUIRE(class_of_this_thread() == SCHED_OTHER);
    if (const auto begun = thread.begin(); !begun) {
      CHECK(begun.error() == std::errc::operation_not_permitted);
      CHECK(class_of_this_thread() == SCHED_OTHER);
      return;
    }
    CHECK(class_of_this_thread() == SCHED_RR);
    sched_param parameters{};
    sched_getparam(0, &parameters);
    CHECK(parameters.sched_priority == sched_get_priority_min(SCHED_RR));

    CHECK(turn_until(thread, burn, [] { return class_of_this_thread() == SCHED_OTHER; }));
    CHECK(turn_until(thread, rest, [] { return class_of_this_thread() == SCHED_RR; }));
    thread.end();
    CHECK(class_of_this_thread() == SCHED_OTHER);
  });
}

TEST_CASE("a class that was given from outside stays") {
  in_a_thread([] {
    const sched_param parameters{};
    REQUIRE(sched_setscheduler(0, SCHED_BATCH, &parameters) == 0);
    PromptThread thread;
    CHECK(thread.begin().has_value());
    const auto end = std::chrono::steady_clock::now() + 250ms;
    CHECK(turn_until(thread, rest, [&] { return std::chrono::steady_clock::now() > end; }));
    CHECK(class_of_this_thread() == SCHED_BATCH);
  });
}

TEST_CASE("what it starts is ordinary") {
  in_a_thread([] {
    PromptThread thread;
    if (!thread.begin()) return;
    int class_inside = -1;
    in_a_thread([&] { class_inside = class_of_this_thread(); });
    CHECK(class_inside == SCHED_OTHER);
    CHECK(class_of_this_thread() == SCHED_RR);
  });
}
