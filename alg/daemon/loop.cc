// SPDX-License-Identifier: GPL-2.0-or-later
// epoll, level-triggered: who leaves something unread is called again.
#include "alg/daemon/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <system_error>

namespace sipalg {
namespace {

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::system_category(), what);
  return result;
}

timespec to_timespec(Instant instant) {
  const auto since_boot = std::max(instant.time_since_epoch(), std::chrono::milliseconds(1));  // 0 would disarm
  return {static_cast<time_t>(since_boot.count() / 1000), static_cast<long>(since_boot.count() % 1000 * 1'000'000)};
}

void empty(int fd) {
  std::array<char, 8> count{};
  [[maybe_unused]] const auto size = ::read(fd, count.data(), count.size());
}

}  // namespace

Instant boot_time() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Instant(std::chrono::milliseconds(now.tv_sec * 1000LL + now.tv_nsec / 1'000'000));
}

FileDescriptor make_eventfd() { return FileDescriptor(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")); }

Loop::Loop() : epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll")) {}

void Loop::watch(int fd, uint32_t events, Callback callback) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  checked(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll add");
  callbacks_[fd] = std::make_shared<Callback>(std::move(callback));
}

void Loop::change(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  checked(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event), "epoll change");
}

void Loop::unwatch(int fd) {
  if (callbacks_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Loop::watch_signals(std::span<const int> signals, std::function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  checked(sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
  signals_ = FileDescriptor(checked(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
  watch(signals_.get(), EPOLLIN, [this, callback = std::move(callback)] {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) callback(static_cast<int>(info.ssi_signo));
  });
}

void Loop::set_timer(std::function<Instant()> next, Callback callback) {
  timer_ = FileDescriptor(checked(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd"));
  next_ = std::move(next);
  watch(timer_.get(), EPOLLIN, [this, callback = std::move(callback)] {
    empty(timer_.get());
    armed_ = {};
    callback();
  });
}

void Loop::arm_timer() {
  if (!timer_) return;
  const Instant next = next_();
  if (next == armed_) return;
  itimerspec when{};
  when.it_value = to_timespec(next);
  checked(timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr), "timerfd");
  armed_ = next;
}

void Loop::wait() {
  arm_timer();
  std::array<epoll_event, 16> events{};
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
  if (count < 0 && errno != EINTR) checked(count, "epoll wait");
  for (int i = 0; i < count; ++i) {
    const auto it = callbacks_.find(events[static_cast<std::size_t>(i)].data.fd);
    if (it == callbacks_.end()) continue;  // unwatched by another callback of this round
    const auto callback = it->second;      // lives through its own unwatch()
    (*callback)();
  }
  promptness_.look();
}

void Loop::run() {
  while (!stopped_) wait();
}

}  // namespace sipalg
