// SPDX-License-Identifier: GPL-2.0-or-later
// One direction of a connection: what the sender has sent, what was decided about it, what the receiver has.
//
// How it works. Positions in the sender's space (in), from what is settled to what is not:
//
//     0 ......... acknowledged ......... decided ........ in_next ....  gap  .... disordered
//                 by the receiver        messages       came in order          kept, not read yet
//                                        left, or may   buffer: an incomplete
//                                        leave          message
//
//   Bytes in order go to the framer; what it can not decide yet waits in the buffer, and the packets that brought it wait as
//   carriers. Decided bytes leave through next_chunk(): a cursor in the receiver's space runs over kept blocks and over the
//   payload of the packet in hand, and each packet takes as much as it has room for and as the receiver's window allows. What
//   did not fit stays kept and rides on the next packet, whichever it is. A packet that repeats old bytes is answered in its own
//   terms: the same range again, through the map.
//
//   Taking over. Holding a message keeps the receiver from acknowledging it, and then a sender with Nagle, or one whose
//   congestion window is full, never sends the rest. So when nothing came for `stall`, when it goes on in small pieces for
//   `longest_stall` (its sender would repeat), when there is a gap, when the sender repeats held bytes, or when no packet is left
//   that waits, the half begins to raise: one packet leaves as a byte the receiver has acknowledged long ago (RFC 1122 section
//   4.2.3.6: an old byte is answered at once, which an empty segment need not be), and if the answer acknowledges everything
//   decided, it is raised to in_next. From then on the sender has forgotten these bytes and they are ours (owed): kept until the
//   receiver has them, sent again after `resend`, three repeated acknowledgements, or any packet that repeats old bytes. The byte
//   is old for certain: below what the receiver acknowledged, never a guess.
//   Answers to such bytes, and acknowledgements of owed ones, that tell the sender nothing new are dropped when he has no SACK: he
//   would count them, and repeat what is not lost. Once he repeats or probes himself he gets every answer.
//
//   Carriers for owed bytes: packets that wait, any packet of the sender, and, when there is none, an acknowledgement of the
//   receiver turned into such an old byte toward the sender, whose answer is one. The acknowledgement that takes the last
//   packet's bytes over asks for one in the same way (its raised acknowledgement counts for its receiver all the same), and the
//   answer waits: a sender that falls silent in a message has left the packet that ends the wait. A complete message was
//   completed by a packet that is not taken over, so the sender's own timer guards the end.
//
//   A gap. The first packet behind it waits (networks swap packets); the next three leave as old bytes, so that the sender
//   counts repeated acknowledgements; and acknowledgements get SACK blocks for what we keep, so that it repeats only the gap.
//
//   Time is over, or a bound is passed: what is in the buffer leaves unchanged, and so does the rest of that message, as it
//   comes; the next one is read again. What stands behind a gap is dropped: its sender sends it again.
//   New bytes that would have to be kept beyond `kept_bytes` are dropped: nobody has acknowledged them.
//   What left as it came is not kept any longer, unless its sender was told that it arrived.
//   Reading ends (framing lost, FIN in an incomplete message): what is in the buffer leaves unchanged and everything behind
//   passes with the map as it comes, in whatever order.
//
//   The receiver's window. The sender is told what the receiver told, with one exception: a message that is larger than the
//   receiver's window and taken over in part would never be whole, so the room for its rest is ours.
//
//   The path. An edited segment may be larger than a link behind the next one takes, and the ICMP error about it tells the
//   sender nothing it can use. What is repeated leaves no larger than it came; what goes again from the same place leaves in
//   pieces that every path takes, until the receiver has everything.
#pragma once
#include <deque>
#include <optional>
#include <vector>

#include "alg/base/instant.h"
#include "alg/packet/tcp_segment.h"
#include "alg/stream/framer.h"
#include "alg/stream/reassembly.h"
#include "alg/stream/sequence_map.h"
#include "alg/stream/stream_table.h"

namespace sipalg {

// A packet of the sender that waits for its verdict. Its payload is in the half's buffer or disordered store.
struct Carrier {
  Ticket ticket = 0;
  std::vector<uint8_t> headers;
  uint32_t transport_offset = 0;
  uint8_t flags = 0;
  Position begin = 0, end = 0;  // in
  std::size_t room = 0;         // payload bytes it may carry
  bool is_stale = false;        // the sender has acknowledged more since
};

// What the sender's newest packet says about the other direction.
struct Stamp {
  Position acknowledged = 0;  // of the other half, in the space of its receiver
  uint16_t window = 0;        // as written
  std::optional<Timestamps> timestamps;
};

// What the packet in hand asks for.
struct Ask {
  Position begin = 0, end = 0;      // in
  std::string_view payload;         // of [begin, end); empty for a packet that waited
  std::size_t room = 0, room_after = 0;  // of this packet, of those that wait behind it
  bool is_repeated = false;         // brought nothing new
  bool has_fin = false;
};

struct Chunk {
  Position begin = 0;  // out
  std::string bytes;
  bool is_last = false;  // reaches the end of what is decided
  bool has_fin = false;
};

struct Half {
  // --- opening ---
  bool is_open = false;
  uint32_t first = 0;                   // sequence number of position 0, in both spaces
  std::optional<uint8_t> window_scale;  // of the windows this sender announces
  bool sack_permitted = false;
  void open(const SegmentView& syn);

  Position position_of(uint32_t sequence, Position near) const;
  uint32_t sequence_of(Position position) const { return first + static_cast<uint32_t>(position); }

  // --- what the sender sent ---
  SequenceMap map;
  Framer framer;
  Reassembly disordered;
  std::string buffer;           // [decided, in_next) of an incomplete message
  std::deque<Carrier> carriers;
  Stamp stamp;
  bool has_news = false;        // its newest packet tells the other end that more has arrived, or may come
  Position in_next = 0, decided = 0;
  Position taken = 0;           // acknowledged to the sender by us
  std::optional<Position> fin;  // where its FIN stands
  bool is_reading = true;
  bool is_raising = false;
  bool is_restored = false;
  bool is_unproven = false;     // restored, and its next byte has not come yet
  bool is_doubtful = false;     // restored lately: acknowledgements of what left in between may come, one after the other
  bool is_first_message = true;
  unsigned probes = 0;          // packets that left as old bytes since the gap opened
  Instant held_since{}, last_byte{}, raised_at{};
  bool has_stalled = false;     // since last_byte
  bool has_asked = false;       // since last_byte: the sender, for a packet

  // Without gaps nothing has to wait for its turn.
  bool is_ordering() const { return is_reading || !disordered.empty() || !buffer.empty(); }
  bool is_holding() const { return !buffer.empty() || !disordered.empty(); }
  bool has_whole_fin() const { return fin && in_next == *fin; }
  void note_stamp(const SegmentView& segment, Position acknowledged);
  void keep(std::string_view bytes);  // decides them unedited, and keeps them
  void stop_reading();                // the buffer becomes decided
  void catch_up(Position out);        // restored: the receiver has more than was saved

  // --- what the receiver has ---
  Position acknowledged = 0;  // out
  Position right_edge = 0;    // out: it has announced room up to here
  Position cursor = 0;        // out: next to be sent; what is kept before it is under way
  Position sent = 0;          // out: the highest ever sent
  bool fin_sent = false;
  unsigned repeated = 0;      // acknowledgements that said nothing new
  unsigned probed = 0;        // old bytes that we sent since it acknowledged more, for ourselves: each is answered
  bool answers_us = false;    // its newest packet does, or takes bytes that their sender has forgotten
  Position resent = -1;       // where bytes were last sent from again
  unsigned resends = 0;       // from there
  bool is_narrow = false;     // so many that the path may be narrower than the sender knows
  Instant resend_at{};

  Position decided_out() const { return map.to_out(decided); }
  // `is_pure`: no data on it. False: it acknowledges what was never sent.
  bool acknowledge(Position out, Position window_end, bool is_pure);
  bool may_take_over() const { return is_raising && !buffer.empty() && taken < in_next && acknowledged >= decided_out(); }
  void take_over() { taken = in_next; }
  bool owes() const { return acknowledged < map.to_out(std::min(taken, decided)); }
  bool has_debt() const { return cursor < std::min(decided_out(), right_edge) && map.has(cursor); }
  // Not behind a closed window: two ends that both close theirs would answer each other's probes for ever.
  bool wants_carrier(Instant now) const { return has_debt() || (owes() && acknowledged < right_edge && now >= resend_at); }
  // Held bytes that their sender has forgotten, and no packet that could carry them when their time is over.
  bool owes_held() const { return !buffer.empty() && taken > decided; }
  bool lacks_carrier() const { return owes_held() && carriers.empty() && !has_asked; }
  bool is_finished() const { return fin && fin_sent && acknowledged > decided_out(); }

  // The same bytes at the same positions, and nobody's but the sender's: its packets and their acknowledgements may pass as
  // they are.
  bool is_plain() const { return map.is_faithful() && taken <= acknowledged; }
  bool may_pass_plain() const { return is_plain() && !is_holding() && carriers.empty(); }
  bool acknowledges_plain() const { return is_plain() && disordered.empty(); }
  bool is_behind() const { return cursor < decided_out(); }

  bool next_chunk(const Ask& ask, const StreamLimits& limits, Instant now, Chunk& chunk);
  void passed(Position end, bool has_fin);  // left as it came
  void forget_sent();  // what left as it came is its sender's to repeat, unless he was told that it arrived
  std::size_t bytes() const { return buffer.size() + disordered.bytes() + map.kept_bytes() + framer.skipped_bytes(); }

 private:
  Position chunk_begin(const Ask& ask, Instant now);
  Position chunk_end(const Ask& ask, Position begin) const;
  Position room_for(const Ask& ask, Position begin) const;
  void note_resend(Position begin);
  void fill(Position begin, Position end, const Ask& ask, std::string& bytes) const;
  void advance(Position begin, Position end);
};

}  // namespace sipalg
