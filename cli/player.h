// SPDX-License-Identifier: GPL-2.0-or-later
// Plays the packets of a capture through the engine, and sums up.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "alg/control/json.h"
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "cli/capture.h"
#include "cli/offline_keeper.h"
#include "cli/reassembly.h"
#include "cli/source_nat.h"

namespace sipalg {

class Player {
 public:
  // `out` may be null; else every SIP datagram that was played is written to it as it leaves towards its receiver.
  Player(const Policy& policy, const std::vector<Address>& outside, CaptureWriter* out);

  void play(int link_type, const CaptureReader::Frame& frame);
  Json summary() const;

 private:
  void play_packet(std::span<const uint8_t> packet, Instant now);
  void play_sip(const DatagramView& view, Way way, Instant now);
  void sum_up(const Trace& trace);
  void write(const DatagramView& view, const Flow& flow, const Verdict& verdict, Instant now);
  Instant advance(Instant captured);

  OfflineKeeper keeper_;
  Engine engine_;
  Scratch scratch_;
  SourceNat nat_;
  Reassembly reassembly_;
  CaptureWriter* out_;
  Instant now_{};
  std::vector<uint8_t> natted_, packet_;

  uint64_t frames_ = 0, not_ip_ = 0, not_udp_ = 0, malformed_packets_ = 0, other_udp_ = 0;
  uint64_t played_out_ = 0, played_in_ = 0, between_inside_ = 0, not_inside_ = 0;
  std::map<std::string, uint64_t> edits_, doors_;
};

void show_replay(const Json& summary, std::ostream& out);

}  // namespace sipalg
