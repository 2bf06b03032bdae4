// SPDX-License-Identifier: GPL-2.0-or-later
// A door keeper for several workers.
//
// How it works. One at a time asks the kernel, which does no better: every change of nf_tables and of expectations takes a lock
// of the namespace there (nf_tables_api.c: commit_mutex; nf_conntrack_expect.c: nf_conntrack_expect_lock). Who comes meanwhile
// leaves his wish; whoever is next carries out all that wait in one transaction, so the more workers want doors at once, the less
// a door costs. And before a worker asks, it does other work, as in a GatheringKeeper (alg/doors/gathering_keeper.h): the next
// packets of its read, of which some want doors, too. What is closed is handed in by whoever has the keeper next, and waits a moment
// for what others close; and a port that is known to be free is given away without the keeper's lock. So nobody waits for the
// kernel who does not want a door of it. Where nobody opens or closes nothing is written here.
// Proved by test/engine/workers_test.cc and, with the real kernel, test/conntrack/shared_test.cc.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

#include "alg/base/patient_lock.h"
#include "conntrack/door_keeper.h"

namespace sipalg {

class SharedDoorKeeper : public DoorKeeper {
 public:
  explicit SharedDoorKeeper(DoorKeeper& keeper) : keeper_(keeper) {}
  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                            DoorHandle sibling = 0) override;
  void settle() override;
  // Of this thread, for all keepers: does a piece of other work, which may come back to open(); false: there is none. Must not throw.
  static void set_other_work(std::function<bool()> work) { other_work_ = std::move(work); }
  void close(std::span<const DoorHandle> handles) override;
  bool is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) override;
  bool has_flow(std::span<const DoorHandle> handles) override;
  // Has the kernel told what was closed, some milliseconds after that (longest_wait_of_closings), or at once when that is much. When to
  // ask again; Instant::max(): nothing waits.
  Instant flush_when_due(Instant now);
  void flush_now();
  // Called when the keeper may want its tick earlier than it said: by any worker, under the lock. Set before there are any.
  void set_on_work(std::function<void()> on_work) { on_work_ = std::move(on_work); }
  // For whoever calls the keeper itself.
  std::unique_lock<std::mutex> lock() const { return patient_lock(mutex_); }

 private:
  using Clock = std::chrono::steady_clock;
  std::unique_lock<std::mutex> take();
  template <typename Question> bool ask(Question&& question);
  void carry_out_wishes();
  void hand_in_closed();
  void flush() override;  // under the lock
  Clock::duration time_left();  // of what waits to be flushed
  static inline thread_local std::function<bool()> other_work_;
  DoorKeeper& keeper_;
  mutable std::mutex mutex_;  // of the keeper, and of what follows
  std::vector<Wish*> carried_out_;
  std::vector<DoorHandle> handed_in_;
  std::function<void()> on_work_;
  std::mutex wishing_;  // within mutex_, or alone; of what follows
  std::vector<Wish*> wishes_;
  std::vector<DoorHandle> closings_;     // not handed in yet
  std::atomic<std::size_t> closed_ = 0;  // since the last flush; read without a lock
  Clock::time_point closed_since_{};
};

} // namespace sipalg
