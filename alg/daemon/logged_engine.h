// SPDX-License-Identifier: GPL-2.0-or-later
// The engine, and the log lines about what it did: each message at level debug, what it had to leave unchanged at others.
#pragma once
#include <array>
#include <memory>
#include <utility>

#include "alg/daemon/log.h"
#include "alg/daemon/rate_limit.h"
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "alg/sip/message.h"

namespace sipalg {

class LoggedEngine {
 public:
  // Borrows everything.
  LoggedEngine(Engine& engine, const Log& log);
  Verdict handle(const SipDatagram& datagram, Instant now, Scratch& scratch);
  uint32_t shards() const { return engine_.shards(); }
  bool lets_in(const Flow& flow, uint32_t shard) const { return engine_.lets_in(flow, shard); }

 private:
  Verdict handle_traced(const SipDatagram& datagram, Instant now, Scratch& scratch);
  void tell_failures(const SipDatagram& datagram, const FailedGroups& failed, Instant now);
  void tell_failure(Reason reason, const SipDatagram& datagram, Instant now);

  Engine& engine_;
  const Log& log_;
  std::unique_ptr<sip::Message> message_;  // for the Call-ID of a warning
  std::array<RateLimit, count_of<Reason>> limits_;
};

// "" or " (and 3 more like this)", behind a line that RateLimit::admit() let through.
std::string and_held_back(uint64_t held_back);

}  // namespace sipalg
