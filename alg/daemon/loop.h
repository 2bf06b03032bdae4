// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's one thread waits here: descriptors, signals and one timer, each with what to do.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "alg/base/instant.h"
#include "alg/daemon/file_descriptor.h"
#include "alg/daemon/prompt_thread.h"

namespace sipalg {

Instant boot_time();  // CLOCK_BOOTTIME
FileDescriptor make_eventfd();  // by which another thread wakes a loop; throws std::system_error

class Loop {
 public:
  using Callback = std::function<void()>;
  Loop();  // throws std::system_error

  // `events`: EPOLLIN, EPOLLOUT. The callback also runs on EPOLLHUP and EPOLLERR. It may unwatch itself.
  void watch(int fd, uint32_t events, Callback callback);
  void change(int fd, uint32_t events);
  void unwatch(int fd);

  // Blocks these signals for the process; they arrive here instead.
  void watch_signals(std::span<const int> signals, std::function<void(int)> callback);

  // One timer. `next` is asked before each wait.
  void set_timer(std::function<Instant()> next, Callback callback);

  // The thread that calls, and calls run() later, is of the real-time class as prompt_thread.h tells.
  std::expected<void, std::error_code> be_prompt() { return promptness_.begin(); }

  void be_ordinary() { promptness_.end(); }

  // Until stop(). Exceptions of callbacks come out of here.
  void run();
  void stop() { stopped_ = true; }

 private:
  void wait();
  void arm_timer();

  FileDescriptor epoll_, timer_, signals_;
  std::map<int, std::shared_ptr<Callback>> callbacks_;
  std::function<Instant()> next_;
  Instant armed_{};
  PromptThread promptness_;
  bool stopped_ = false;
};

}  // namespace sipalg
