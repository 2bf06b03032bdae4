// SPDX-License-Identifier: GPL-2.0-or-later
// A scenario is played on a stage: once with a kernel that works, then with its N-th operation refused, for every N, then with
// every operation from the N-th on refused. The stage checks at each message what holds whatever the kernel does.
//
// How it works
//   A script plays messages and says with `works()` what must hold when the kernel refuses nothing. The stage itself checks:
//     - each packet has one verdict;
//     - the header fields of a message, and its body, are mapped as a whole or left as a whole;
//     - what is mapped leads somewhere: each outside endpoint in it has a living door, or is the flow's own mapping;
//     - the ACK to a 2xx is treated as its INVITE was;
//     - the message sent again, at once and after the next ones, leaves with the same bytes and opens nothing;
//     - at the end, when all hold times are over, no door, no record and no timer is left.
//   Among strangers, whenever a message waits for its doors, others' INVITEs come first, so that its doors are opened together with
//   theirs (gathering_keeper.h); they are cleared before anything is looked at.
//   What comes back to its writer as it was written is checked by the parties (party.h).
#pragma once
#include <deque>

#include "test/engine/world.h"

namespace sipalg::test {

struct Fault {
  std::size_t at = 0;    // the kernel operation that fails, from 1; 0: none
  bool and_after = false;
  bool among_strangers = false;
};

class Stage {
 public:
  Stage(const World::Setup& setup, Fault fault);

  // As in World; nothing when it did not arrive, which may be only where the kernel refused something.
  std::string out(std::string_view inside, std::string_view remote, const std::string& message);
  std::string in(std::string_view remote, std::string_view outside, const std::string& message);
  void pass_time(std::chrono::milliseconds time);

  bool works() const { return fault_.at == 0; }  // the kernel refuses nothing in this run
  bool nat() const { return nat_; }
  std::size_t strangers() const { return strangers_ever_; }  // calls that began and were cleared beside the script's
  void finish();  // every hold time passes; nothing is left

  World world;
  bool sends_again = true;    // each message is repeated
  bool lasts = false;         // something outlives 64*T1 after the last message: a registration, a call nobody ends

 private:
  struct Past {
    bool out;
    std::string sender, receiver, message, arrived;
    Instant when;
    bool refused;  // the kernel refused a door of it: what is missing may be tried again
  };
  std::string play(bool out, std::string_view sender, std::string_view receiver, const std::string& message, bool& arrives);
  void repeat(const Past& past);
  void remember(Past past);
  bool let_stranger_come();
  void send_strangers_away();
  void follow_invite(bool out, const std::string& message, const std::string& arrived);

  Fault fault_;
  bool nat_;
  std::deque<Past> past_;
  std::vector<std::string> strangers_;  // Call-IDs of those that came while one message was handled
  std::size_t strangers_known_ = 0;      // of them: have a transaction
  std::size_t strangers_ever_ = 0;
  bool strangers_may_come_ = false;
  std::map<std::string, bool> invites_;  // of the inside, by their branch, then by the tag that answered: their Via was mapped
};

// Plays it through every fault.
using Script = void (*)(Stage&);
void play(const World::Setup& setup, Script script);
inline void play(Script script) { play({}, script); }
// The same for a script of so many operations that only about `faults` of them are tried.
void play_sampled(const World::Setup& setup, Script script, std::size_t faults);

}  // namespace sipalg::test
