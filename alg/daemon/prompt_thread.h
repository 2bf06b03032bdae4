// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that packets wait for: of the real-time class, as long as they leave it time.
//
// How it works. A packet comes while the thread sleeps. An ordinary one then gets a core when the scheduler's slices of others
// have room for it, some hundred microseconds later on a router that is half busy, and milliseconds where programs compute; one
// of the real-time class (sched(7)) gets it at once. But beside a real-time thread that never sleeps nothing ordinary runs, and
// no flood of SIP may take the router from its administrator: over a tenth of a second a thread that used more than three quarters of
// a core, or threads of a daemon that used more than three eighths of all cores, become ordinary, until it is less than a half and
// a fourth. (Ordinary threads also find more packets at once, which a flood needs more than haste.) Threads that it starts are ordinary (SCHED_RESET_ON_FORK).
// Its priority is the lowest of the class: whatever else is real-time on a router comes first. A thread that was given another
// class from outside (CPUSchedulingPolicy= in the unit, chrt) keeps that.
// Proved by test/unit/prompt_thread.cc and the network tests of the class; what it gains, by test/bench (latency).
#pragma once
#include <chrono>
#include <expected>
#include <system_error>

namespace sipalg {

class PromptThread {
 public:
  // Of the thread that calls, from now on. Needs RLIMIT_RTPRIO of 1, or CAP_SYS_NICE; refused, it stays ordinary.
  std::expected<void, std::error_code> begin();
  // Once a turn, by the same thread.
  void look();
  // Before much work that no packet waits for.
  void end();

 private:
  using Duration = std::chrono::nanoseconds;
  bool set_class(bool real_time);
  bool has_begun_ = false, is_real_time_ = false;
  struct Times {
    Duration clock{}, thread{}, process{};  // the latter two on cores
    static Times now();
  };
  Times last_look_;
};

}  // namespace sipalg
