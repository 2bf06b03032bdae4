// SPDX-License-Identifier: GPL-2.0-or-later
// One queued packet's way through the daemon, from its bytes to its verdict.
//
// How it works.
//
//     bytes -> DatagramView -> flow (who is inside?) -> Engine -> the verdict, with new bytes when the engine edited
//
// The pending verdict says "accept unchanged" when it goes out of scope, so whatever fails on the way, an exception
// included, lets the packet pass as it came, and no packet gets two verdicts.
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "alg/daemon/log.h"
#include "alg/daemon/rate_limit.h"
#include "alg/engine/engine.h"
#include "alg/packet/datagram.h"
#include "alg/sip/message.h"
#include "conntrack/flow_lookup.h"
#include "conntrack/links.h"
#include "conntrack/queue.h"

namespace sipalg {

class PacketPath {
 public:
  // Borrows everything.
  PacketPath(Engine& engine, Stats& stats, FlowLookup& flows, const Links& links, const Log& log);

  void handle(const QueuedPacket& packet, PendingVerdict verdict, Instant now);

 private:
  using Groups = decltype(Stats::groups);
  void handle_datagram(const QueuedPacket& packet, const DatagramView& view, PendingVerdict& verdict, Instant now);
  Verdict ask_engine(const SipDatagram& datagram, Instant now);
  void tell_failures(const SipDatagram& datagram, const Groups& before, Instant now);
  void tell_failure(Reason reason, const SipDatagram& datagram, Instant now);
  void tell_exception(const char* what, Instant now);

  Engine& engine_;
  Stats& stats_;
  FlowLookup& flows_;
  const Links& links_;
  const Log& log_;
  std::vector<uint8_t> packet_;  // the edited one
  std::unique_ptr<sip::Message> message_;  // for the Call-ID of a warning
  std::array<RateLimit, count_of<Reason>> limits_;
  RateLimit exceptions_;
};

}  // namespace sipalg
