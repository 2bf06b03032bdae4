// SPDX-License-Identifier: GPL-2.0-or-later
// Registrations that outlive the daemon: phones stay reachable when it is restarted, upgraded or killed.
//
// How it works. Once a second what changed is written to the state, one transaction for all; at the end, everything. The next daemon
// claims the same doors with the same ports, opens them, and knows the texts to restore, before it looks at a packet.
// A daemon that is killed loses what changed in its last second: such a phone is known again with its next refresh.
// Records stand under a hash: LMDB's keys have 511 bytes at most, an AOR may have more.
#pragma once
#include <set>

#include "alg/daemon/log.h"
#include "alg/daemon/state_store.h"
#include "alg/engine/engine.h"

namespace sipalg {

class KeptRegistrations {
 public:
  // Borrows everything; no store: nothing is kept.
  KeptRegistrations(Engine& engine, StateStore* store, const Log& log) : engine_(engine), store_(store), log_(log) {}

  std::size_t restore(Instant now);  // at start, once; how many live again
  // Which of the router's addresses those had, when they were kept, that do not.
  const std::set<Address>& outside_addresses() const { return outside_addresses_; }
  void save() { save(at_once); }     // once a second
  void save_all() { save(SIZE_MAX); }

 private:
  static constexpr std::size_t at_once = 500;  // some milliseconds
  void save(std::size_t most);
  void tell_failure(const char* what);

  Engine& engine_;
  StateStore* store_;
  const Log& log_;
  std::set<Address> outside_addresses_;
};

}  // namespace sipalg
