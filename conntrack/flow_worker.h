// SPDX-License-Identifier: GPL-2.0-or-later
// Dumps of the conntrack table beside the packets.
//
// How it works. A dump walks the whole table in one system call (5 ms with 262,144 buckets, empty ones too), during which no
// packet would leave the queue. So it is a job for a thread, with a netlink socket of its own. A job touches nothing that
// others touch while it runs: it takes copies and leaves its result in something that it shares with who gave it. A job
// that throws leaves a part of it, and says nothing more.
// Without a thread jobs run at once: for tests, and for programs that wait anyway.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "conntrack/ctnetlink.h"

namespace sipalg {

class FlowWorker {
 public:
  using Job = std::function<void(Ctnetlink&)>;
  // Throws std::system_error. The thread begins with the first job; when the system gives none, jobs run at once.
  explicit FlowWorker(bool has_thread) : has_thread_(has_thread) {}
  ~FlowWorker(); // waits for the job
  FlowWorker(const FlowWorker&) = delete;
  FlowWorker& operator=(const FlowWorker&) = delete;

  bool has_thread() const { return has_thread_; }
  bool is_idle() const { return is_idle_.load(std::memory_order_acquire); } // then what the last job left may be read
  void run(Job job);                                                        // when idle
  void wait() const { is_idle_.wait(false, std::memory_order_acquire); }    // until idle

 private:
  bool start_thread();
  void work();
  const bool has_thread_;
  Ctnetlink conntrack_;
  std::mutex mutex_; // of the two below
  Job job_;
  bool ends_ = false;
  std::condition_variable changed_;
  std::atomic<bool> is_idle_ = true;
  std::thread thread_;
};

} // namespace sipalg
