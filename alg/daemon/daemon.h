// SPDX-License-Identifier: GPL-2.0-or-later
// All parts of the daemon, put together, from start to end.
//
// How it works. One thread waits in Loop for queued packets, netlink events, the control socket, signals and one timer. With
// `workers` there are more threads that handle packets (worker.h); all else is this one's.
//     start   links, queue, table, keeper, engine, control socket; then READY
//     SIGHUP  a good file takes effect with the next message; a bad one is told and changes nothing
//     links   an address that went closes its doors; what is inside is found anew
//     end     doors closed, no rule leads here any more, what is still queued passes unchanged (TCP: by its map); the table
//             goes last. The audio of calls that are up goes on by its conntracks, which are the phones' and not ours
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "alg/daemon/config.h"
#include "alg/daemon/control_server.h"
#include "alg/daemon/kept_registrations.h"
#include "alg/daemon/log.h"
#include "alg/daemon/loop.h"
#include "alg/daemon/packet_path.h"
#include "alg/daemon/service.h"
#include "alg/daemon/service_switch.h"
#include "alg/daemon/state_store.h"
#include "alg/daemon/stream_path.h"
#include "alg/daemon/worker.h"
#include "alg/doors/gathering_keeper.h"
#include "alg/engine/engine.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/links.h"
#include "conntrack/nf_door_keeper.h"
#include "conntrack/queue.h"
#include "conntrack/shared_door_keeper.h"
#include "conntrack/steering.h"

namespace sipalg {

class Daemon {
 public:
  using LoadConfig = std::function<Config()>;  // throws BadConfig

  // Throws std::runtime_error with what to do.
  Daemon(Config config, LoadConfig load, Log& log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  void run();  // until SIGTERM or SIGINT

 private:
  // --- packets, events, time ---
  DoorKeeper& keeper_for_engine();
  void make_workers();
  bool workers_live(Instant now) const;
  void be_prompt();
  void take_packets();
  void on_links();
  void end_flows_of(const Address& lost);
  void put_inside();
  void note_outside();
  void on_timer();
  Instant next_timer() const;
  void on_signal(int signal);

  // --- configuration ---
  void reload();
  void apply(Config config);
  void tell_needs_restart(const Config& next) const;
  std::vector<Network> inside() const;
  Policy policy() const;
  void tell_refusal(const char* what, const Steering::Result& result) const;

  // --- what the administrator should know (daemon_advice.cc) ---
  void tell_start() const;
  void tell_advice();
  void tell_helper();

  void stop();

  // --- answers (answers.cc) ---
  std::expected<Json, control::Error> answer(const control::Request& request);
  std::expected<Json, control::Error> answer_call(const std::string& call_id) const;
  Json answer_stats() const;
  Json answer_config();
  Json clear_stats();
  std::expected<Json, control::Error> clear_call(const std::string& call_id);
  std::vector<uint64_t> kernel_counts() const;
  std::vector<uint64_t> packets_of_workers() const;
  Json answer_workers() const;

  // --- the service (answers_service.cc) ---
  Json answer_service();
  std::optional<std::vector<uint16_t>> ports_the_zones_lack();
  std::expected<Json, control::Error> change_service(const control::Request& request);
  Steering::Result put_service(ServiceSwitch next);
  bool drain(ServiceSwitch& service) const;
  void drain_ports();
  void tell_service();
  void tell_zones();

  Log& log_;
  LoadConfig load_;
  Config config_;
  ServiceSwitch switch_;
  Service service_;
  Loop loop_;
  Links links_;
  Queue queue_;
  Steering steering_;
  Ctnetlink conntrack_;
  std::unique_ptr<Births> births_;  // null: the kernel needs none
  FlowLookup flows_;
  NfDoorKeeper keeper_;
  SharedDoorKeeper shared_keeper_;
  GatheringKeeper gathering_;  // where this thread is alone
  Stats stats_;
  Engine engine_;
  LoggedEngine logged_engine_;
  StreamGuard guard_;
  std::unique_ptr<StateStore> store_;  // null: it could not be opened
  KeptRegistrations kept_;
  StreamPath streams_;
  PacketPath path_;
  FileDescriptor work_;                            // an eventfd: a worker gave the keeper something that its tick has to look at
  std::atomic<bool> work_is_told_ = false;
  // With workers: when the keeper wants its tick, written under its lock; when this thread looks.
  std::atomic<Instant> keeper_due_{Instant::max()};
  mutable std::atomic<Instant> wakes_at_{Instant::max()};
  std::vector<std::unique_ptr<Worker>> workers_;  // beside this thread
  ControlServer control_;
  Instant housekeeping_{}, memory_looked_at_{};
  bool helper_is_told_ = false;
  std::vector<uint64_t> kernel_counts_cleared_, packets_cleared_;  // what they were at `clear stats`
};

}  // namespace sipalg
