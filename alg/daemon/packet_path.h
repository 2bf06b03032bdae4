// SPDX-License-Identifier: GPL-2.0-or-later
// One queued packet's way through the daemon, from its bytes to its verdict.
//
// How it works.
//
//     bytes -> DatagramView -> flow (who is inside?) -> UDP: Engine -> the verdict, with new bytes when the engine edited
//                                                   -> TCP: StreamPath (its messages to the Engine, its verdicts at once or later)
//                                                   -> the wrong uplink: ForeignWays
//
// An INVITE, or a response to one, that waits for its doors lets the packets behind it in the same read go first
// (GatheringKeeper): handle() is called again deeper in the same stack, with a scratch of its own. Which may, alg/engine/overtaking.h
// tells; TCP segments may not, and with several workers nothing of hosts that are not this one's.
// The pending verdict says "accept unchanged" when it goes out of scope, so whatever fails on the way, an exception
// included, lets the packet pass as it came, and no packet gets two verdicts.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "alg/daemon/foreign_ways.h"
#include "alg/daemon/logged_engine.h"
#include "alg/daemon/stream_path.h"
#include "alg/engine/overtaking.h"
#include "alg/engine/scratch.h"
#include "alg/packet/datagram.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/links.h"
#include "conntrack/queue.h"

namespace sipalg {

class PacketPath {
 public:
  // Borrows everything. `doors`: the engine that has them, as `engine` goes to. `streams` is null where no TCP comes. `shard`:
  // Scratch::shard.
  PacketPath(LoggedEngine& engine, Engine& doors, StreamPath* streams, Stats& stats, FlowLookup& flows, const Interfaces& interfaces,
             const Log& log, uint32_t shard = 0);

  void handle(const QueuedPacket& packet, PendingVerdict verdict, Instant now);
  // While a message waits for its doors: gives the next packet of the read to handle(), if it may come first. Does not throw.
  bool handle_next(Queue& queue, Instant now);

 private:
  Scratch& next_scratch();
  bool may_come_first(const QueuedPacket& packet, Scratch& next, Instant now);
  void pass_unknown(const DatagramView& view, PendingVerdict& verdict);
  void handle_datagram(const DatagramView& view, const Flow& flow, uint32_t mtu, PendingVerdict& verdict, Instant now);
  void tell_exception(const char* what, Instant now);

  LoggedEngine& engine_;
  StreamPath* streams_;
  ForeignWays foreign_;
  Stats& stats_;
  FlowLookup& flows_;
  const Interfaces& interfaces_;
  const Log& log_;
  uint32_t shard_;
  Overtaking overtaking_;
  std::vector<std::unique_ptr<Scratch>> scratches_;  // for each that is under way
  std::optional<Flow> judged_;                       // of the packet that may come first, for the handle() that follows
  RateLimit exceptions_;
};

}  // namespace sipalg
