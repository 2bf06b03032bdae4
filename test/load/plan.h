// SPDX-License-Identifier: GPL-2.0-or-later
// What a run plays.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "test/load/flows.h"

namespace sipalg::load {

enum class Workload : uint8_t {
  calls,     // INVITE 200 ACK BYE 200, each call a new one: doors are made and removed
  trunk,     // INVITE 100 180 200 ACK BYE 200, the same
  reinvite,  // INVITE 200 ACK in calls that are up
  info,      // INFO 200 in calls that are up
  refresh,   // REGISTER 200, again and again
  options,   // OPTIONS 200 outside of calls
  rtp,       // packets through the doors of calls that are up, there and back
};
std::optional<Workload> parse_workload(std::string_view word);

// What the inside sends first in each exchange, and how many messages an exchange has.
struct Exchange {
  Kind first;
  std::size_t messages;
  bool whole_call = false;  // the call ends with it
};

struct Plan {
  Workload workload = Workload::info;
  Expect expect = Expect::same;
  Style style{};
  Place place{};
  std::string inside_namespace, outside_namespace;
  std::size_t calls = 64;    // that are up, or at once in progress
  std::size_t window = 64;   // exchanges in flight
  uint64_t first_call = 0;
  double seconds = 3, warmup = 0.5, hold = 0;
  double setup_seconds = 120;
  double rate = 0;           // messages per second, latency is recorded; 0: as fast as answers come
  bool leave_calls = false;  // they are not hung up at the end
  std::vector<int> watch;    // processes whose CPU time and memory are told

  bool has_calls() const { return outside_of_calls(measured().first).empty(); }
  Exchange set_up() const { return has_calls() ? Exchange{Kind::invite, 3} : measured(); }
  Exchange measured() const;
  Exchange tear_down() const { return {Kind::bye, 2}; }
  bool has_standing_calls() const { return workload != Workload::calls && workload != Workload::trunk; }
  bool hangs_up() const { return has_standing_calls() && has_calls() && !leave_calls; }
};

// Ends the program where the command line is wrong.
Plan parse_plan(int count, char** words, bool& only_lengths);

}  // namespace sipalg::load
