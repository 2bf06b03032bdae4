// SPDX-License-Identifier: GPL-2.0-or-later
// See half.h.
#include "alg/stream/half.h"

#include <algorithm>

namespace sipalg {

void Half::open(const SegmentView& syn) {
  *this = {};
  is_open = true;
  first = syn.sequence + 1;
  window_scale = syn.window_scale;
  sack_permitted = syn.sack_permitted;
}

// The position nearest to one that is known (RFC 9293 section 3.4: comparisons are modulo 2^32).
Position Half::position_of(uint32_t sequence, Position near) const {
  return near + static_cast<int32_t>(sequence - sequence_of(near));
}

void Half::note_stamp(const SegmentView& segment, Position other_acknowledged) {
  if (segment.has(tcp_ack) && other_acknowledged >= stamp.acknowledged) {
    if (other_acknowledged > stamp.acknowledged)
      for (Carrier& carrier : carriers) carrier.is_stale = true;
    stamp.acknowledged = other_acknowledged;
    stamp.window = segment.window;
  }
  if (!segment.timestamps) return;
  const bool is_newer = !stamp.timestamps || static_cast<int32_t>(segment.timestamps->value - stamp.timestamps->value) >= 0;
  if (!is_newer) return;
  // a held packet with an older time would be refused by the receiver (RFC 7323 section 5.2)
  if (stamp.timestamps && stamp.timestamps->value != segment.timestamps->value)
    for (Carrier& carrier : carriers) carrier.is_stale = true;
  stamp.timestamps = segment.timestamps;
}

void Half::keep(std::string_view bytes) {
  if (bytes.empty()) return;
  const Position end = decided + static_cast<Position>(bytes.size());
  map.append(decided, end, bytes, false);
  decided = end;
}

void Half::stop_reading() {
  keep(buffer);
  buffer.clear();
  is_reading = is_raising = false;
}

// What passed between the last save and the end of the process can not be read any more; of a body nothing is.
void Half::catch_up(Position out) {
  sent = out;
  const Position in = map.to_in(out);
  if (in <= decided) return;
  if (!is_reading || !buffer.empty() || !framer.advance(static_cast<uint64_t>(in - decided))) stop_reading();
  if (in <= in_next) return;
  disordered.clear();
  in_next = decided = in;
}

bool Half::acknowledge(Position out, Position window_end, bool is_pure) {
  if (out > sent + (fin_sent ? 1 : 0)) {
    if (!is_restored && !(is_doubtful && out <= right_edge)) return false;
    catch_up(out);
  }
  is_restored = false;
  const bool is_repeated = out == acknowledged && is_pure;
  answers_us = is_pure && (is_repeated ? probed > 0 : out <= map.to_out(std::min(taken, decided)));
  if (is_repeated && probed > 0) --probed;
  if (out > acknowledged) {
    probed = 0;
    acknowledged = out;
    is_narrow &= out < sent;
    map.acknowledge(out);
    cursor = std::max(cursor, out);
    repeated = 0;
  } else if (is_repeated && !answers_us && ++repeated == 3 && owes()) {
    cursor = acknowledged;
  }
  right_edge = std::max(right_edge, window_end);
  return true;
}

void Half::passed(Position end, bool has_fin) {
  sent = std::max(sent, map.to_out(end));
  cursor = std::max(cursor, sent);
  fin_sent |= has_fin;
}

void Half::forget_sent() {
  if (map.is_faithful()) map.forget(taken, cursor);
}

Position Half::chunk_begin(const Ask& ask, Instant now) {
  const bool is_due = owes() && (ask.is_repeated || now >= resend_at);
  if (is_due) return acknowledged;
  Position begin = std::max(cursor, acknowledged);
  if (!ask.payload.empty()) begin = std::min(begin, std::max(map.to_out(ask.begin), acknowledged));
  return begin;
}

// An edited segment may be larger than a path takes whose narrow part is not the next link. The message that says so tells its
// sender what he knows already, or quotes a sequence number that he has not sent. So what is repeated leaves no larger than it
// came; what goes again from the same place, and all until the receiver has everything, in pieces that every path takes.
Position Half::room_for(const Ask& ask, Position begin) const {
  const auto room = static_cast<Position>(ask.room);
  constexpr Position sure = limits::stream_sure_payload;
  if (is_narrow || (begin < sent && begin == resent && resends > 0)) return std::min(room, sure);
  return ask.is_repeated && begin < sent ? std::min(room, std::max(ask.end - ask.begin, sure)) : room;
}

void Half::note_resend(Position begin) {
  if (begin != resent) resends = 0;
  if (++resends > 1) is_narrow = true;
  resent = begin;
}

// A packet keeps its own end when those behind it can carry the rest; one that repeats carries what it was asked for.
Position Half::chunk_end(const Ask& ask, Position begin) const {
  const Position all = decided_out();
  const Position own = map.to_out(std::min(ask.end, decided));
  Position end = std::max(own, all - static_cast<Position>(ask.room_after));
  if (begin < cursor && cursor >= all) end = std::max(own, map.to_out(std::min(taken, decided)));
  return std::min({end, all, begin + room_for(ask, begin), right_edge});
}

void Half::fill(Position begin, Position end, const Ask& ask, std::string& bytes) const {
  for (Position at = begin; at < end;) {
    std::size_t size = map.read(at, static_cast<std::size_t>(end - at), bytes);
    if (size == 0) {
      const Position in = map.to_in(at);
      if (in < ask.begin || in >= ask.begin + static_cast<Position>(ask.payload.size())) return;
      const auto offset = static_cast<std::size_t>(in - ask.begin);
      size = std::min(static_cast<std::size_t>(std::min(end, map.next_kept(at)) - at), ask.payload.size() - offset);
      bytes.append(ask.payload, offset, size);
    }
    at += static_cast<Position>(size);
  }
}

void Half::advance(Position begin, Position end) {
  sent = std::max(sent, end);
  const Position owed = map.to_out(std::min(taken, decided));
  if (begin <= cursor && end > cursor) cursor = end;
  if (begin < cursor && begin < owed) cursor = end < owed ? end : std::max(end, sent);
}

bool Half::next_chunk(const Ask& ask, const StreamLimits& limits, Instant now, Chunk& chunk) {
  chunk.bytes.clear();
  Position begin = chunk_begin(ask, now);
  Position end = chunk_end(ask, begin);
  if (begin < end) fill(begin, end, ask, chunk.bytes);
  if (begin < end && chunk.bytes.empty()) {
    // kept nowhere: the sender has it, and will send it again; now what is kept behind it, or the packet's own bytes
    begin = std::max(std::min(map.next_kept(begin), map.to_out(ask.begin)), acknowledged);
    end = chunk_end(ask, begin);
    cursor = std::max(cursor, std::min(begin, decided_out()));
    if (begin < end) fill(begin, end, ask, chunk.bytes);
  }
  end = begin + static_cast<Position>(chunk.bytes.size());
  if (begin < end && begin < map.to_out(std::min(taken, decided))) resend_at = now + limits.resend;
  if (begin < end && begin < sent) note_resend(begin);
  const bool is_again = begin < sent;
  if (begin < end) advance(begin, end);
  // a part of what was asked for: the rest follows on the next packet, its sender would wait for a timeout
  if (is_again && end < map.to_out(std::min(ask.end, decided))) cursor = std::min(cursor, end);
  chunk.begin = begin;
  chunk.is_last = end == decided_out();
  chunk.has_fin = chunk.is_last && has_whole_fin() && decided == *fin && acknowledged <= end &&
                  (ask.has_fin || !fin_sent);
  fin_sent |= chunk.has_fin;
  return !chunk.bytes.empty() || chunk.has_fin;
}

}  // namespace sipalg
