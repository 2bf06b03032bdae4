// SPDX-License-Identifier: GPL-2.0-or-later
// An offer or answer of our side: its media endpoints mapped by door (sip-rules sections 8 and 9).
//
// How it works
//   Each active media line whose address is ours gets its ports in one claim (RTP and RTCP together unless a=rtcp names
//   its own), then everything in the body that names the same endpoint follows: m=, c=, a=rtcp, candidates, altc, msrp.
//   A line that is not ours, off, or of an unknown transport is left and vetoes nothing; a refused door fails the body.
#pragma once
#include <array>

#include "alg/rewrite/passage.h"
#include "alg/sdp/session.h"

namespace sipalg {

// What a line of the body needs, for the leg to own.
struct MappedUse {
  DoorId door = 0;
  uint8_t line = 0;
  bool is_rtcp = false;
};

class SdpMap {
 public:
  // `had`: what the call uses so far.
  SdpMap(Rules& rules, const Passage& passage, Group& group, const sdp::Session& session, std::span<const MediaUse> had, bool is_answer,
         bool is_late_copy)
      : rules_(rules), passage_(passage), group_(group), session_(session), had_(had), is_answer_(is_answer), is_late_copy_(is_late_copy) {}
  void run();
  SmallList<MappedUse, 8> uses;

 private:
  struct Line {  // what became of one media line
    bool relies_on_session = false, mapped = false;
    Endpoint rtp, rtcp;                  // inside; rtcp unset: none
    Endpoint outside_rtp, outside_rtcp;
  };
  DoorTable::MediaWish wish_for(const Endpoint& inside, Purpose purpose) const;
  void map_line(uint8_t index);
  const sdp::Connection* connection_of(const sdp::Media& media) const;
  bool is_ours(const Address& address);
  bool may_have_door(const sdp::Media& media) const;
  void claim(uint8_t index, const sdp::Media& media);
  void claim_explicit_rtcp(uint8_t index, const sdp::Media& media, bool muxed);
  void keep_held_port(uint8_t index, const sdp::Media& media);
  void own(uint8_t index, const DoorTable::MediaDoors& doors, bool with_rtcp);
  void write_line(const Line& line, const sdp::Media& media);
  void write_origin();
  void write_session_connection();
  void write_candidates();
  void write_alternatives();
  void write_address(Span span, Field field, const std::optional<Address>& before, const Address& outside);
  void write_text(Span span, Field field, std::string_view text);

  Rules& rules_;
  const Passage& passage_;
  Group& group_;
  const sdp::Session& session_;
  std::span<const MediaUse> had_;
  bool is_answer_;
  bool is_late_copy_;  // nothing will be opened; only its bytes matter
  std::array<Line, limits::media_lines> lines_{};
};

// a=remote-candidates of the other side that name our doors: the inside endpoint again.
void restore_remote_candidates(const Rules& rules, Group& group, const sdp::Session& session, const Leg& leg);

// Where the other side wants its media.
void add_remote_streams(const sdp::Session& session, MediaSession& out);
// Lines that are off, that no door can serve, or whose address is 0.0.0.0.
void count_media(const sdp::Session& session, Stats& stats);
// No active line is sendrecv, or all are at 0.0.0.0 (RFC 3264 section 8.4).
bool is_hold(const sdp::Session& session);
void note_streams(std::string_view bytes, const sdp::Session& session, MediaSession& out);

}  // namespace sipalg
