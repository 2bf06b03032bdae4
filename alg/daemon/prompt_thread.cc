// SPDX-License-Identifier: GPL-2.0-or-later
// See prompt_thread.h.
#include "alg/daemon/prompt_thread.h"

#include <sched.h>

#include <cerrno>
#include <ctime>
#include <thread>
#include <utility>

namespace sipalg {
namespace {

constexpr std::chrono::milliseconds period{100};

std::chrono::nanoseconds read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

bool PromptThread::set_class(bool real_time) {
  sched_param parameters{};
  parameters.sched_priority = real_time ? sched_get_priority_min(SCHED_RR) : 0;
  if (sched_setscheduler(0, (real_time ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK, &parameters) < 0) return false;
  is_real_time_ = real_time;
  return true;
}

std::expected<void, std::error_code> PromptThread::begin() {
  const int given = sched_getscheduler(0);
  if (given < 0) return std::unexpected(std::error_code(errno, std::system_category()));
  if (given != SCHED_OTHER) return {};
  if (!set_class(true)) return std::unexpected(std::error_code(errno, std::system_category()));
  last_look_ = Times::now();
  has_begun_ = true;
  return {};
}

void PromptThread::end() {
  if (std::exchange(has_begun_, false) && is_real_time_) set_class(false);
}

PromptThread::Times PromptThread::Times::now() {
  return {read_clock(CLOCK_MONOTONIC_COARSE), read_clock(CLOCK_THREAD_CPUTIME_ID), read_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

void PromptThread::look() {
  if (!has_begun_ || read_clock(CLOCK_MONOTONIC_COARSE) < last_look_.clock + period) return;
  const Times before = std::exchange(last_look_, Times::now());
  const Duration passed = last_look_.clock - before.clock, on_all_cores = passed * std::thread::hardware_concurrency();
  const Duration thread = last_look_.thread - before.thread, process = last_look_.process - before.process;
  const bool is_too_busy = thread * 4 > passed * 3 || process * 8 > on_all_cores * 3;
  const bool has_time = thread * 2 < passed && process * 4 < on_all_cores;
  if (is_real_time_ ? is_too_busy : has_time) set_class(!is_real_time_);
}

}  // namespace sipalg
