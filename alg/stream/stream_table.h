// SPDX-License-Identifier: GPL-2.0-or-later
// SIP over TCP, in line: every segment of every steered connection comes by, whole messages are edited, nothing is terminated.
//
// How it works. The two ends hold one TCP connection with each other; between them a Connection reads along. It answers each
// queued packet by one verdict: accept, accept with other bytes, drop, at once or later. It can send no packet of its own, so
// bytes that leave ride on packets that came.
//
//     first SYN ──> followed ──> both ends' first bytes are SIP ──> messages are framed, held, edited
//                      │             │ no (HTTP, TLS)                     │ a bound is passed, framing is lost
//                      │             v                                    v
//                      │         forgotten: passes untouched          passes with its map, unread, for good
//                      └─ first SYN not seen: passes untouched until it closes
//
//   half.h         one direction: reassembly, holding, what the next packet carries, taking over
//   sequence_map.h how positions before the edits and behind them belong together
//   framer.h       where messages begin and end
//   connection.h   both halves of one packet: sequence, acknowledgement, SACK, window
//
// Invariants. Each ticket gets exactly one verdict (at the latest in release_all()). No byte is acknowledged to its sender that
// neither the receiver nor this table (and its store) has. As long as a connection's bytes were never changed, nothing of its
// packets is rewritten but the MSS of its SYNs.
//
// What survives. Whenever something changed that later packets depend on, the store gets the connection's saved bytes before
// the verdict that makes it depend. restore() puts them back: the map is used at once; a direction is framed on when its next
// byte is the one that was expected, else it passes with its map, unread.
//
// test/stream proves it between two model TCP ends; test/fuzz/stream_fuzz.cc that verdicts stay one per ticket.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "alg/base/instant.h"
#include "alg/packet/datagram.h"
#include "alg/stats/stats.h"
#include "alg/stream/stream_limits.h"
#include "conntrack/flow.h"

namespace sipalg {

using Ticket = uint64_t;  // the caller's name of a packet that waits for its verdict

// A connection by its ends, whichever of them sends.
struct StreamKey {
  FlowEnd opener, answerer;
  uint16_t zone = 0;
  static StreamKey of(const Flow& flow);
  friend bool operator==(const StreamKey&, const StreamKey&) = default;
};

// Where verdicts go.
class StreamOutlet {
 public:
  virtual ~StreamOutlet() = default;
  virtual void accept(Ticket ticket) = 0;
  virtual void accept(Ticket ticket, std::span<const uint8_t> packet) = 0;  // a whole IP packet instead; borrowed for the call
  virtual void drop(Ticket ticket) = 0;
  // Before a length of a connection changes, or bytes of it are taken over: conntrack must stop judging sequence numbers of
  // `flow` (BE_LIBERAL, kernel-facts section 4), and from here on no segment may pass unmapped, whether there is a daemon or
  // not. False: nothing of it is changed.
  virtual bool begin_guarding(const Flow& flow) = 0;
  // Its ends can do without the daemon again.
  virtual void end_guarding(const StreamKey& key) = 0;
  // Does conntrack still have it? Asked about connections that were silent for long. False: the table forgets it.
  virtual bool is_alive(const StreamKey& key) = 0;
};

struct EditedMessage {
  bool is_edited = false;
  std::string_view bytes;  // what leaves instead; borrowed until the next call
};

// Asked with the size that an edited message would leave with. Reason::edited: it may; any other says why it may not.
using MayBecome = std::function<Reason(std::size_t)>;

// Who rewrites messages: the engine.
class StreamEditor {
 public:
  virtual ~StreamEditor() = default;
  // An edited message was granted by `may_become`, asked behind everything else that could keep the edits from leaving.
  // `held`: one message; without its body when that is no SDP and no multipart: then `bytes_behind` bytes of body follow it
  // unread, and the text given back must not contain them. `flow.sender` wrote it; is_new is set for the first message of the
  // end that opened the connection.
  virtual EditedMessage edit(std::string_view held, std::size_t bytes_behind, const Flow& flow, const MayBecome& may_become,
                             Instant now) = 0;
};

// How a followed connection is at the moment.
struct StreamSummary {
  enum class State : uint8_t { opening, open, closing };  // until both SYNs, until both FINs are acknowledged or a reset
  StreamKey key;
  State state = State::opening;
  bool reads_opener = false, reads_answerer = false;  // false: what it sends passes unread, with the map
  bool is_resized = false;                            // lengths were changed
  std::size_t held_packets = 0, held_bytes = 0;
  Instant last_seen{};
};

// Keeps what must survive the process. Called before the verdict that depends on it.
class StreamStore {
 public:
  virtual ~StreamStore() = default;
  // Replaces what was saved for `key`. `is_guarded`: between begin_guarding() and end_guarding().
  virtual void save(const StreamKey& key, std::string_view bytes, bool is_guarded) = 0;
  virtual void forget(const StreamKey& key) = 0;
};

class Connection;

class StreamTable {
 public:
  // Borrows all of them; `store` may be null.
  StreamTable(StreamOutlet& outlet, StreamEditor& editor, StreamStore* store, Stats& stats, StreamLimits limits = {});
  ~StreamTable();  // does not answer what is held: release_all() does
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  // One packet of a TCP flow (view.protocol is tcp), borrowed for the call. `mtu`: of the link it leaves by.
  void handle(Ticket ticket, const DatagramView& view, const Flow& flow, uint32_t mtu, Instant now);

  // Call when next_timer() is reached; calling more often costs nothing.
  void tick(Instant now);
  Instant next_timer() const;

  // Answers everything that is held, for the end of the process: the ends send it again. Connections stay as they are.
  void release_all();

  // False: the bytes are not what save() was given by this version, or the table is full; nothing was changed.
  bool restore(const StreamKey& key, std::string_view bytes, Instant now);

  // conntrack has forgotten the flow: so does the table.
  void forget(const StreamKey& key);

  std::size_t size() const;        // connections followed
  std::size_t held_bytes() const;  // of all of them: incomplete, out of order, owed, not acknowledged
  std::size_t held_packets() const;
  std::vector<StreamSummary> summaries() const;  // in no order

 private:
  struct Rooms;
  std::unique_ptr<Rooms> rooms_;
};

}  // namespace sipalg

template <> struct std::hash<sipalg::StreamKey> {
  std::size_t operator()(const sipalg::StreamKey& key) const noexcept {
    const std::hash<sipalg::Endpoint> of;
    return of(key.opener.inside) ^ (of(key.answerer.outside) * 3) ^ (of(key.opener.outside) * 7) ^ key.zone;
  }
};
