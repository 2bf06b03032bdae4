// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the segments of resized TCP connections from passing the daemon by, also when there is none.
//
// How it works. A connection whose lengths the daemon changed (or of which it has taken over bytes) only works through its
// sequence map: one segment that goes by unmapped is wrong data at the receiver. The daemon's own table dies with it, so these
// connections stand in a second table that does not:
//
//     table inet NAME_streams                       outlives the daemon
//       chain guard   postrouting 149   @held -> queue, no bypass: nobody reads it, the kernel drops; TCP sends it again
//       chain lost    forward -1        @resized but not @held -> TCP reset: the ends connect anew; the SYN of the same
//                                       ends takes the old connection out of @resized
//
//     @held has a lease that the daemon renews: a daemon that comes back in time, with the map from its saved state, goes
//     on; when none comes, the next segment of either end is answered by a reset, not by silence or wrong bytes.
//     The daemon's table has the same connections in @resized4/6, where its own queue rule leaves them out.
// A firewall that is loaded anew begins with `nft flush ruleset`. It does not reach tables that have an owner, and this one
// has, too, where the kernel knows owned tables that persist (6.9). Elsewhere it is made again within `look`; a segment that
// passes in between is wrong data.
// Both tables change in one transaction. The second one is made with the first connection and stays until close(): when
// a base chain goes, the kernel drops what is queued. With steering "manual" there is no guard: the administrator's
// queue rules can not leave the guarded connections out. They have no bypass for TCP instead (ruleset_text(), steering.h).
// Proved by test/conntrack (guard) and test/net (streams).
#pragma once
#include <chrono>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "alg/base/instant.h"
#include "conntrack/steering.h"

namespace sipalg {

class StreamGuard {
 public:
  static constexpr std::chrono::seconds lease{60};
  static constexpr std::chrono::seconds renewal{20};
  static constexpr int64_t most_at_once = 4000;
  static constexpr std::chrono::seconds look{1};
  static constexpr std::chrono::hours remembered{1}; // for @resized: how long after the daemon's end a reset is sent

  // Borrows the steering, whose socket and table it uses. What an earlier daemon left stays until adopt().
  explicit StreamGuard(Steering& steering);

  // By the original tuples that conntrack may know a connection by. Adding what is there and removing what is not is no error.
  Steering::Result add(std::span<const Tuple> originals);
  Steering::Result remove(std::span<const Tuple> originals);
  // Its map is given up while its ends may live: their next segment is answered by a reset.
  Steering::Result abandon(std::span<const Tuple> originals);
  // Which of these an earlier daemon's lease still covers. Of others nothing is certain: their ends may have begun anew. With
  // steering "manual" all: there the administrator's queue rules let nothing pass while there is no daemon.
  std::vector<bool> are_held(std::span<const Tuple> originals) const;
  // At start: these connections go on with us; others that an earlier daemon left are reset.
  Steering::Result adopt(const std::vector<Tuple>& originals);
  // Call it once a second: each call renews those whose time has come.
  Steering::Result renew(Instant now);
  // At the daemon's end, behind Queue::drain(): takes the table away unless it still guards.
  void close();
  std::size_t size() const { return guarded_.size(); }
  const std::string& table() const { return table_; }

 private:
  Steering::Result make_table();
  Steering::Result restore_table();
  bool is_there() const;
  void put_table(NetlinkBatch& batch) const;
  void put(NetlinkBatch& batch, std::span<const Tuple> originals, bool anew) const;
  Steering::Result take_out(std::span<const Tuple> originals, bool is_lost);

  Steering& steering_;
  std::string table_;
  std::set<Tuple> guarded_;
  Tuple last_renewed_;
  Instant renewed_{}, looked_{};
  bool is_owned_ = true;
  bool has_table_ = false;
};

} // namespace sipalg
