// SPDX-License-Identifier: GPL-2.0-or-later
// The engine, and the log lines about what it did: each message at level debug, what it had to leave unchanged at others.
#pragma once
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "alg/daemon/log.h"
#include "alg/daemon/rate_limit.h"
#include "alg/engine/engine.h"
#include "alg/sip/message.h"

namespace sipalg {

class LoggedEngine {
 public:
  // Borrows everything.
  LoggedEngine(Engine& engine, Stats& stats, const Log& log);
  Verdict handle(const SipDatagram& datagram, Instant now, Scratch& scratch);

 private:
  using Groups = decltype(Stats::groups);
  Verdict handle_traced(const SipDatagram& datagram, Instant now, Scratch& scratch);
  void tell_failures(const SipDatagram& datagram, Groups& before, Instant now);
  void tell_failure(Reason reason, const SipDatagram& datagram, Instant now);

  Engine& engine_;
  Stats& stats_;
  const Log& log_;
  std::vector<Groups*> under_way_;  // what was counted before each message that is not through yet, those of others inside of it too
  std::unique_ptr<sip::Message> message_;  // for the Call-ID of a warning
  std::array<RateLimit, count_of<Reason>> limits_;
};

// "" or " (and 3 more like this)", behind a line that RateLimit::admit() let through.
std::string and_held_back(uint64_t held_back);

}  // namespace sipalg
