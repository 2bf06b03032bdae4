// SPDX-License-Identifier: GPL-2.0-or-later
// One SIP datagram in, one verdict out. Knows no socket and no clock: time and kernel are handed in.
// Its records are in shards by inside host, so that several workers share it: each has its own Scratch, any may handle any
// message, and one whose messages are about hosts of its own shard touches nothing that another writes (rooms.h).
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alg/base/instant.h"
#include "alg/base/saved_bytes.h"
#include "alg/control/report.h"
#include "alg/engine/sip_service.h"
#include "alg/rewrite/policy.h"
#include "alg/edit/edit_list.h"
#include "alg/stats/stats.h"
#include "conntrack/door_keeper.h"
#include "conntrack/flow.h"

namespace sipalg {

// What goes through the engine at once: a UDP payload, or one message of a TCP stream.
struct SipDatagram {
  std::string_view bytes;
  Flow flow;
  // The payload may not become larger than this; what the MTU (or 65,535 bytes) leaves.
  std::size_t most_bytes = 65'507;
  // TCP: so many bytes of the body follow in the stream, outside of `bytes`; they hold nothing to edit.
  std::size_t bytes_behind = 0;
  // TCP: asked with the size it would leave with, when nothing else keeps the edits from leaving. Any reason but
  // Reason::edited undoes them. Borrowed; null: it may.
  const std::function<Reason(std::size_t)>* may_become = nullptr;
};

struct Verdict {
  Reason reason = Reason::nothing_to_edit;  // Reason::edited: send `bytes` instead
  std::string_view bytes;                   // borrows from the Scratch
  // The kernel gave the sender's flow the outside endpoint of another host's door. This message has given him a door of his own: when
  // the flow goes, his next packet leaves by that, and what comes for the other reaches the other.
  bool is_misplaced = false;
  bool edited() const { return reason == Reason::edited; }
};

// What happened to one datagram, for `explain` and the debug log. Filled only when asked for.
struct Trace {
  struct EditNote {
    Field field;
    uint32_t offset;  // in the message as it came
    std::string before, after;
  };
  struct GroupNote {
    bool is_body;
    Reason reason;
  };
  std::string first_line, call_id, method;  // escaped
  uint16_t status = 0;                      // 0: a request
  std::string direction;                    // "out", "in", "hairpin", "none"
  std::vector<EditNote> edits;
  std::vector<GroupNote> failed_groups;
  std::vector<report::Door> doors;  // every door this message opened
  std::string scan_error;           // with its offset, when the scanner refused
  std::vector<std::string> notes;  // e.g. the line of configuration that would allow what was left
};

struct EngineHouse;  // what it owns (rooms.h)
struct Scratch;      // scratch.h

class Engine {
 public:
  // Borrows the keeper, which must outlive it; with several shards it must be safe to be called by all workers.
  // `salt`: any number that peers can not guess (text_hash.h). `shards`: 1 to most_shards.
  explicit Engine(const Policy& policy, DoorKeeper& keeper, uint64_t salt = 0, uint32_t shards = 1);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // The verdict's bytes are in `scratch`, until that is used again.
  Verdict handle(const SipDatagram& datagram, Instant now, Scratch& scratch, Trace* trace = nullptr);

  // Within handle(), while its message waits for doors: may handle() be called for a message of this flow, with a Scratch of this
  // shard? Not when it would need the records of another shard.
  bool lets_in(const Flow& flow, uint32_t shard) const;

  // Ends what time ends, at most so many records. Call when next_timer() is reached; calling more often costs nothing.
  void tick(Instant now, std::size_t most = SIZE_MAX);
  Instant next_timer() const;
  // The same for one shard.
  uint32_t shards() const;
  void tick_shard(uint32_t shard, Instant now, std::size_t most);
  Instant next_timer_of(uint32_t shard) const;

  // Takes effect with the next message; what lives is kept.
  void set_policy(const Policy& policy);
  // The same; what is not in service any more passes untouched (sip_service.h).
  void set_service(const SipService& service);
  // Does a record live that only this port brings its packets here for, when `in_service` (sorted) do besides?
  bool needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const;

  // Outside addresses that the router lost (the provider gave it another one): every door on them is closed.
  // `inside_host`: for that one alone, which leaves by another uplink. Neither within handle().
  void outside_address_lost(const Address& address, const Address& inside_host = {});
  // The router has this address (again): what living calls and registrations have on it is opened again.
  void outside_address_returned(const Address& address, const Address& inside_host = {});

  // Remotes that the policy has inside, and toward which the kernel translates, since the last time: their networks lead outside.
  std::vector<Address> take_beyond_nat();
  // As if the address was lost, for the doors that gave this flow's sender its outside endpoint. False: there are none. Not within
  // handle().
  bool close_doors_of(const Flow& flow);

  // By an administrator's word: ends them and closes their doors at once. How many there were. `call_id` as it was
  // received, or escaped as in report::Call.
  std::size_t clear_call(std::string_view call_id, Instant now);
  std::size_t clear_calls(Instant now);
  std::size_t clear_registrations(Instant now);

  // Closes every door, forgets every call. For SIGTERM.
  void close_all(Instant now);

  // Registrations outlive the process: once their changes are noted, whoever keeps them takes them from time to time, and gives them back
  // to the engine of the next process (registrations.h).
  void note_registration_changes(bool is_wanted);
  std::vector<SavedChange> take_registration_changes(std::size_t most);
  bool restore_registration(std::string_view bytes, Instant now);

  std::vector<report::Call> calls(Instant now) const;
  std::vector<report::Door> doors(Instant now) const;
  std::vector<report::Registration> registrations(Instant now) const;
  report::Totals totals() const;  // looks at every call
  // For a line that is written each second.
  struct Standing {
    std::size_t calls = 0, registrations = 0, doors = 0;
  };
  Standing standing() const;
  Stats stats() const;  // of all shards
  void clear_stats();

 private:
  std::size_t clear_legs(std::optional<std::string_view> call_id, Instant now);
  void flush_doors();
  std::function<bool(const Address&)> is_routers() const;
  std::unique_ptr<EngineHouse> house_;
};

}  // namespace sipalg
