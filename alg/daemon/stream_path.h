// SPDX-License-Identifier: GPL-2.0-or-later
// TCP segments' way through the daemon: between the queue, the stream table, the engine, and what must outlive us.
//
// How it works.
//
//     segment -> StreamTable -> verdict, at once or later (the pending verdict waits here under its ticket)
//                   |   message -> LoggedEngine -> its new bytes
//                   |   before a length changes or bytes are taken over: conntrack stops judging, the guard takes the connection
//                   |   before a verdict that later packets depend on: the map goes to the state store
//
// At start, connections come back from the store and the guard is told which. A segment of a guarded connection never
// passes unmapped: when its flow can not be found it is dropped, and TCP sends it again.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "alg/control/report.h"
#include "alg/daemon/logged_engine.h"
#include "alg/daemon/state_store.h"
#include "alg/engine/scratch.h"
#include "alg/stream/stream_table.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/queue.h"
#include "conntrack/stream_guard.h"

namespace sipalg {

class StreamPath : private StreamOutlet, private StreamEditor, private StreamStore {
 public:
  // Borrows everything; `store` may be null: then a connection with edits does not survive the daemon.
  StreamPath(LoggedEngine& engine, Ctnetlink& conntrack, StreamGuard& guard, StateStore* store, Stats& stats, const Log& log);

  // Connections that an earlier daemon had. How many came back.
  std::size_t restore(Instant now);

  // Exactly one verdict, now or later.
  void handle(const DatagramView& view, const Flow& flow, uint32_t mtu, PendingVerdict verdict, Instant now);
  // Would this segment, passed as it is, be wrong data?
  bool is_guarded(const DatagramView& view) const { return guarded_.contains(header_of(view)); }

  void tick(Instant now);
  Instant next_timer() const { return table_.next_timer(); }

  // From here on no message is edited any more; maps stay in force.
  void stop_editing() { is_editing_ = false; }
  // What is still held is dropped: the ends send it again.
  void release_all() { table_.release_all(); }
  // Connections that conntrack knows no more need no guard when we end.
  void forget_ended();

  std::vector<report::Connection> report(Instant now) const;
  std::size_t connections() const { return table_.size(); }
  std::size_t held_packets() const { return table_.held_packets(); }
  std::size_t held_bytes() const { return table_.held_bytes(); }

 private:
  void accept(Ticket ticket) override;
  void accept(Ticket ticket, std::span<const uint8_t> packet) override;
  void drop(Ticket ticket) override;
  bool begin_guarding(const Flow& flow) override;
  void end_guarding(const StreamKey& key) override;
  bool is_alive(const StreamKey& key) override;
  EditedMessage edit(std::string_view held, std::size_t bytes_behind, const Flow& flow, const MayBecome& may_become,
                     Instant now) override;
  void save(const StreamKey& key, std::string_view bytes, bool is_guarded) override;
  void forget(const StreamKey& key) override;

  struct Record {  // of the store
    StreamKey key;
    bool is_guarded;
    std::string bytes;
  };
  static Tuple header_of(const DatagramView& view) { return {Protocol::tcp, view.source, view.destination}; }
  PendingVerdict take(Ticket ticket);
  void note_guarded(const StreamKey& key, bool is_guarded);
  void keep_liberal(const Flow& flow);
  void unguard(const StreamKey& key);
  bool is_known(const StreamKey& key) const;  // to conntrack
  void tell_store_failure(const char* what);

  LoggedEngine& engine_;
  Scratch scratch_;
  Ctnetlink& conntrack_;
  StreamGuard& guard_;
  StateStore* store_;
  const Log& log_;
  bool is_editing_ = true;
  bool store_failed_ = false;
  Ticket next_ticket_ = 1;
  std::string record_;  // of save()
  std::unordered_map<Ticket, PendingVerdict> pending_;
  std::map<Tuple, StreamKey> guarded_;  // by the headers of both directions behind postrouting
  std::set<Tuple> reborn_;    // guarded connections whose conntrack is a new one, not confirmed yet: original tuples
  StreamTable table_;         // last: it answers through the others
};

}  // namespace sipalg
