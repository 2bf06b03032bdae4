// SPDX-License-Identifier: GPL-2.0-or-later
// Dumps of the conntrack table beside the packets.
#include "conntrack/flow_worker.h"

#include <csignal>
#include <exception>
#include <system_error>
#include <utility>

namespace sipalg {
namespace {

// Signals are for the thread that waits for them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

} // namespace

FlowWorker::~FlowWorker() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

// False: there is none, and the system gives none.
bool FlowWorker::start_thread() {
  if (!has_thread_ || thread_.joinable()) return has_thread_;
  const SignalsBlocked blocked; // the thread inherits it
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

void FlowWorker::run(Job job) {
  if (!start_thread()) return job(conntrack_);
  {
    const std::lock_guard lock(mutex_);
    is_idle_.store(false, std::memory_order_relaxed);
    job_ = std::move(job);
  }
  changed_.notify_one();
}

void FlowWorker::work() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ends_ || job_; });
      if (!job_) return;
      job = std::exchange(job_, nullptr);
    }
    try {
      job(conntrack_);
    } catch (const std::exception&) {  // out of memory, of file descriptors: what it leaves is not whole
    }
    job = nullptr; // what it holds belongs to the other thread again
    is_idle_.store(true, std::memory_order_release);
    is_idle_.notify_all();
  }
}

} // namespace sipalg
