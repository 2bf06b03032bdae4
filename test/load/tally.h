// SPDX-License-Identifier: GPL-2.0-or-later
// What both sides count, and when each message left. One thread writes each counter, others read it.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "test/load/messages.h"

namespace sipalg::load {

struct Tally {
  std::atomic<uint64_t> sent = 0, arrived = 0, wrong = 0;
  static void add(std::atomic<uint64_t>& counter) { counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
};

// Nanoseconds; the sender's thread writes, the receiver's reads behind the message itself.
class SendTimes {
 public:
  explicit SendTimes(std::size_t calls) : times_(calls * kinds) {}
  void set(std::size_t call, Kind kind, int64_t at) { place(call, kind).store(at, std::memory_order_relaxed); }
  int64_t get(std::size_t call, Kind kind) { return place(call, kind).load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t>& place(std::size_t call, Kind kind) { return times_[call * kinds + static_cast<std::size_t>(kind)]; }
  std::vector<std::atomic<int64_t>> times_;
};

struct Latencies {
  static constexpr std::size_t most = 4'000'000;
  std::vector<uint32_t> ns;
  void add(int64_t took) {
    if (took >= 0 && ns.size() < most) ns.push_back(took > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(took));
  }
};

// What the threads of the two sides share.
struct Shared {
  explicit Shared(std::size_t calls) : sent_at(calls), announced(calls) {}
  Tally inside, outside;
  SendTimes sent_at;
  std::vector<std::atomic<uint16_t>> announced;  // media port the outside was told, by place of the call
  std::atomic<bool> is_recording = false, is_over = false, is_ready = false;
  std::atomic<bool> wants_media = false, has_media = false;
  Latencies outward, inward;  // the first is the outside thread's

  // Sent, and neither arrived nor taken for wrong.
  uint64_t missing() const {
    const uint64_t sent = inside.sent + outside.sent, seen = inside.arrived + inside.wrong + outside.arrived + outside.wrong;
    return sent > seen ? sent - seen : 0;
  }

  // The first message that was not what it had to be, and what failed in the other thread.
  void note(std::string text) {
    const std::lock_guard guard(mutex_);
    if (note_.empty()) note_ = std::move(text);
  }
  std::string noted() {
    const std::lock_guard guard(mutex_);
    return note_;
  }

 private:
  std::mutex mutex_;
  std::string note_;
};

}  // namespace sipalg::load
