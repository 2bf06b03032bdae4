// SPDX-License-Identifier: GPL-2.0-or-later
// A thread beside the daemon's own, with a queue of its own: UDP of some inside hosts.
//
// How it works. The rules bring a packet to the worker that has its inside host's shard of the engine (ruleset.cc, shard.h).
// All that a packet needs is the worker's own: queue, conntrack sockets, flow cache, scratch, counters. `turn_` is held while
// packets or timers are handled, so that others can look at the counters, or change what the worker goes by, between two
// turns; else it is free, and the worker alone writes it.
//     end   let_pass(): nothing is edited any more. When no rule leads here, drain(): what is still queued leaves, the thread ends.
// An exception ends the thread and is told by failure_fd().
#pragma once
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "alg/daemon/loop.h"
#include "alg/daemon/packet_path.h"
#include "conntrack/births.h"
#include "conntrack/shared_door_keeper.h"

namespace sipalg {

class Worker {
 public:
  struct Kernel {
    QueueOptions queue;
    std::string table;
  };
  // Borrows engine, keeper and log. Throws std::system_error.
  Worker(const Kernel& kernel, uint32_t shard, Engine& engine, SharedDoorKeeper& keeper, const Interfaces& interfaces, const Log& log);
  ~Worker();  // ends it as drain() does
  void start(bool real_time);

  void set_interfaces(const Interfaces& interfaces);
  void let_pass();
  void drain();

  Stats stats() const;  // of its path; the engine has others
  QueueCounters counters() const;
  void clear_stats();
  Instant last_turn() const { return last_turn_.load(std::memory_order_relaxed); }
  int failure_fd() const { return failed_.get(); }
  void rethrow_failure() const;
  bool saw_helper() const { return flows_.saw_helper(); }

 private:
  void run(bool real_time);
  void take_packets();
  void on_timer();
  Instant next_timer() const;

  const uint32_t shard_;
  Engine& engine_;
  SharedDoorKeeper& keeper_;
  mutable std::mutex turn_;
  Queue queue_;
  Ctnetlink conntrack_;
  std::unique_ptr<Births> births_;  // null: the kernel needs none
  FlowLookup flows_;
  LoggedEngine logged_engine_;
  Stats stats_;
  Interfaces interfaces_;
  PacketPath path_;
  std::atomic<bool> passes_ = false;
  FileDescriptor ending_, failed_;  // eventfds
  std::exception_ptr failure_;
  std::atomic<Instant> last_turn_{};
  Loop loop_;
  std::thread thread_;
};

}  // namespace sipalg
