// SPDX-License-Identifier: GPL-2.0-or-later
// See worker.h.
#include "alg/daemon/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "alg/daemon/loop.h"

namespace sipalg {
namespace {

constexpr std::chrono::seconds longest_wait{1};

void ring(const FileDescriptor& bell) { eventfd_write(bell.get(), 1); }

}  // namespace

Worker::Worker(const Kernel& kernel, uint32_t shard, Engine& engine, SharedDoorKeeper& keeper, const Interfaces& interfaces, const Log& log)
    : shard_(shard), engine_(engine), keeper_(keeper), queue_(kernel.queue),
      births_(queue_.has_conntrack() ? nullptr : std::make_unique<Births>(kernel.table)), flows_(conntrack_, births_.get()),
      logged_engine_(engine, log), interfaces_(interfaces), path_(logged_engine_, engine, nullptr, stats_, flows_, interfaces_, log, shard),
      ending_(make_eventfd()), failed_(make_eventfd()), last_turn_(boot_time()) {
  loop_.watch(queue_.fd(), EPOLLIN, [this] { take_packets(); });
  loop_.watch(ending_.get(), EPOLLIN, [this] { loop_.stop(); });
  loop_.set_timer([this] { return std::min(keeper_.flush_when_due(boot_time()), next_timer()); }, [this] { on_timer(); });
}

Worker::~Worker() { drain(); }

void Worker::start(bool real_time) {
  thread_ = std::thread([this, real_time] { run(real_time); });
}

void Worker::run(bool real_time) {
  SharedDoorKeeper::set_other_work([this] { return path_.handle_next(queue_, boot_time()); });
  try {
    if (real_time) static_cast<void>(loop_.be_prompt());  // what refuses it is told by the daemon's own thread
    loop_.run();
    const std::lock_guard turn(turn_);
    queue_.drain([](const QueuedPacket&, PendingVerdict) {});
  } catch (...) {
    failure_ = std::current_exception();
    ring(failed_);
  }
  SharedDoorKeeper::set_other_work({});
}

void Worker::take_packets() {
  const std::lock_guard turn(turn_);
  const Instant now = boot_time();
  queue_.receive([this, now](const QueuedPacket& packet, PendingVerdict verdict) {
    if (!passes_) path_.handle(packet, std::move(verdict), now);
  });
}

void Worker::on_timer() {
  const std::lock_guard turn(turn_);
  const Instant now = boot_time();
  if (!passes_) engine_.tick_shard(shard_, now, limits::ended_at_once);
  last_turn_.store(now, std::memory_order_relaxed);
}

Instant Worker::next_timer() const {
  return std::min(passes_ ? Instant::max() : engine_.next_timer_of(shard_), last_turn() + longest_wait);
}

void Worker::set_interfaces(const Interfaces& interfaces) {
  const std::lock_guard turn(turn_);
  interfaces_ = interfaces;
}

void Worker::let_pass() {
  const std::lock_guard turn(turn_);
  passes_ = true;
}

void Worker::drain() {
  if (!thread_.joinable()) return;
  ring(ending_);
  thread_.join();
}

Stats Worker::stats() const {
  const std::lock_guard turn(turn_);
  return stats_;
}

QueueCounters Worker::counters() const {
  const std::lock_guard turn(turn_);
  return queue_.counters();
}

void Worker::clear_stats() {
  const std::lock_guard turn(turn_);
  stats_ = Stats{};
}

void Worker::rethrow_failure() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace sipalg
