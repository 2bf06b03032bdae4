// SPDX-License-Identifier: GPL-2.0-or-later
// The callers inside: every exchange begins here.
//
// How it works. A call has a place among plan.calls; its number is first_call + place, and grows by plan.calls when the place
// takes a new call, so both sides find place, flow and media port from the number alone. Places wait in a ring; a turn takes
// the first, plays one exchange with it and puts it back. No more than plan.window exchanges are in flight: closed loop. With
// a rate exchanges begin by the clock instead, still within the window. What gets no answer in time is given up and counted.
#pragma once
#include <deque>

#include "test/load/plan.h"
#include "test/load/tally.h"
#include "test/load/wire.h"

namespace sipalg::load {

class Player {
 public:
  // Borrows all; the thread is in the inside's namespace already.
  Player(const Plan& plan, const Flows& flows, Shared& shared);
  void connect();

  // Every place once; false when that takes longer than `seconds`.
  bool once(const Exchange& exchange, double seconds);
  // Again and again; nothing new begins after `seconds`. `rate` as in Plan.
  void repeat(const Exchange& exchange, double seconds, double rate);
  // Waits for the answers that are due.
  void finish();
  // Packets through the doors and back: the sockets, the packets, what is still on its way.
  void open_media();
  void send_media(double seconds);
  void close_media();

  uint64_t exchanges() const { return exchanges_; }
  uint64_t given_up() const { return given_up_; }
  uint64_t strays() const { return wire_->strays; }

 private:
  enum class State : uint8_t { idle, busy, holding };
  struct Call {
    uint64_t number = 0, branch = 0, cseq = 1'000'000;
    int64_t since = 0;
    State state = State::idle;
    bool has_begun = false;
  };
  void turn(bool starts);
  void start_due();
  void start(std::size_t place);
  void begin(std::size_t place, Kind kind);
  void send(std::size_t place, Kind kind);
  void take(const Arrival& arrival);
  void heard(std::size_t place, Kind kind);
  void end(std::size_t place, bool well);
  void end_holding();
  void give_up_silent();
  int64_t wait_ns() const;
  bool take_media(int64_t wait);

  const Plan& plan_;
  const Flows& flows_;
  Shared& shared_;
  std::unique_ptr<Wire> wire_;
  std::vector<Call> calls_;
  std::vector<uint16_t> answered_;  // media port the inside was told, by place
  std::deque<std::size_t> ring_;
  std::deque<std::pair<int64_t, std::size_t>> holding_;
  std::unique_ptr<Wire> media_;
  const Template packet_;
  uint64_t media_sent_ = 0, media_settled_ = 0;  // settled: came back, or was given up
  Exchange exchange_{Kind::info, 2};
  bool again_ = false;
  std::size_t in_flight_ = 0;
  uint64_t exchanges_ = 0, given_up_ = 0, branch_ = 0;
  double rate_ = 0;
  int64_t now_ = 0, next_start_ = 0, next_sweep_ = 0;
};

}  // namespace sipalg::load
