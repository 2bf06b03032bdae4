// SPDX-License-Identifier: GPL-2.0-or-later
// What a segment's bytes lead to: gaps, repetitions, messages. See connection.h and half.h.
#include <algorithm>
#include <exception>

#include "alg/stream/connection.h"

namespace sipalg {

void Connection::on_data(Side side, const StreamPacket& packet, Instant now) {
  Half& mine = halves_[side];
  const SegmentView& segment = packet.segment;
  const Position begin = mine.position_of(segment.sequence, mine.in_next);
  const Position end = begin + static_cast<Position>(segment.payload.size());
  // bytes behind the end, or an end before bytes: no TCP sends that
  const bool has_new_fin = segment.has(tcp_fin) && !mine.fin;
  if ((mine.fin && end > *mine.fin) || (has_new_fin && end < mine.in_next)) return drop(packet.ticket);
  // bytes passed while there was no process; of a connection with edits none can have (the guard drops them)
  if (mine.is_unproven && begin > mine.in_next && !is_guarded_) stop_reading(mine, Event::stream_framing_lost);
  if (!mine.is_ordering()) return pass_unread(side, packet, begin, now);
  if (begin > mine.in_next) return on_gap(side, packet, begin, now);
  if (end <= mine.in_next && !has_new_fin) return on_repeat(side, packet, begin, now);
  on_fresh(side, packet, begin, now);
}

void Connection::on_gap(Side side, const StreamPacket& packet, Position begin, Instant now) {
  Half& mine = halves_[side];
  const SegmentView& segment = packet.segment;
  if (segment.payload.empty()) return drop(packet.ticket);  // a FIN: it says nothing before what is missing, and comes again
  const Position end = begin + static_cast<Position>(segment.payload.size());
  const auto most = static_cast<Position>(world_.limits.disordered_bytes);
  const bool is_full = mine.disordered.bytes() + segment.payload.size() > world_.limits.disordered_bytes ||
                       !world_.has_room(host(), segment.payload.size());
  // nothing of it is acknowledged, so its sender sends it again
  if (end - mine.in_next > most || is_full) return drop(packet.ticket);
  if (!mine.is_holding()) mine.held_since = now;
  mine.disordered.add(begin, segment.payload);
  if (segment.has(tcp_fin)) mine.fin = end;
  mine.last_byte = now;
  mine.has_stalled = false;
  const unsigned number = mine.probes++;
  if ((number == 0 || number > 3) && mine.carriers.size() < most_carriers()) return wait(side, packet, begin);
  mine.is_raising = true;
  probe_for_us(side, outgoing_of(packet));
}

void Connection::on_repeat(Side side, const StreamPacket& packet, Position begin, Instant now) {
  Half& mine = halves_[side];
  const SegmentView& segment = packet.segment;
  const Position end = begin + static_cast<Position>(segment.payload.size());
  const bool is_held = end > mine.decided;
  mine.probed = 0;  // its sender waits for an answer: every one is for him, also when some of ours were lost
  if (is_held) mine.is_raising = true;
  if (!is_held && mine.is_plain() && !mine.is_behind() && halves_[other(side)].acknowledges_plain()) {
    mine.passed(end, segment.has(tcp_fin));  // a FIN that came before its bytes goes only now
    return accept(packet.ticket);
  }
  Ask ask{begin, end, segment.payload, room_of(side, packet), 0, true, segment.has(tcp_fin)};
  if (!carry(side, outgoing_of(packet), ask, now)) probe(side, outgoing_of(packet));
}

void Connection::on_fresh(Side side, const StreamPacket& packet, Position begin, Instant now) {
  Half& mine = halves_[side];
  const SegmentView& segment = packet.segment;
  const Position end = begin + static_cast<Position>(segment.payload.size());
  const auto fresh = static_cast<std::size_t>(end - mine.in_next);
  if (mine.is_holding() && !world_.has_room(host(), fresh)) give_up(mine);
  if (is_surplus(mine, fresh)) return on_surplus(side, packet, begin, now);
  if (segment.has(tcp_fin)) mine.fin = end;
  if (begin < mine.decided) mine.cursor = std::min(mine.cursor, std::max(mine.acknowledged, mine.map.to_out(begin)));  // repeats some
  read(side, segment.payload.substr(static_cast<std::size_t>(mine.in_next - begin)), now);
  if (!is_sip_) {
    pass_for_good();
    if (is_over_) return accept(packet.ticket);
    if (!halves_[other(side)].carriers.empty()) pump(other(side), nullptr, now);
  }
  // what was held of the message before it may have left nowhere yet, its packet with other bytes
  const bool leaves_no_hole = mine.map.to_out(begin) <= mine.cursor;
  if (leaves_no_hole && mine.may_pass_plain() && halves_[other(side)].acknowledges_plain()) {
    mine.passed(end, segment.has(tcp_fin));
    return accept(packet.ticket);
  }
  wait(side, packet, begin);
  pump(side, &packet, now);
}

// More than may be kept here, of a sender that has not heard of a smaller window yet, or does not care. With nothing kept there
// is always room: a message, what stands behind a gap, a segment.
bool Connection::is_surplus(const Half& mine, std::size_t fresh) const {
  const std::size_t kept = mine.map.kept_bytes();
  if (kept == 0) return false;
  return kept + mine.buffer.size() + mine.disordered.bytes() + fresh > world_.limits.kept_bytes || !world_.has_room(host(), fresh);
}

// The new bytes are lost as the network could have lost them: nothing acknowledges them, and they come again. The packet takes
// along what waits for one, or asks the receiver how far it is.
void Connection::on_surplus(Side side, const StreamPacket& packet, Position begin, Instant now) {
  const Half& mine = halves_[side];
  if (!mine.carriers.empty()) pump(side, nullptr, now);
  const auto old = static_cast<std::size_t>(mine.in_next - begin);
  const Ask ask{begin, mine.in_next, packet.segment.payload.substr(0, old), room_of(side, packet), 0, old != 0, false};
  if (!carry(side, outgoing_of(packet), ask, now)) probe(side, outgoing_of(packet));
}

// Takes bytes that continue the stream, and decides what can be.
void Connection::read(Side side, std::string_view fresh, Instant now) {
  Half& mine = halves_[side];
  if (!mine.is_holding()) mine.held_since = now;
  const bool in_hand = !mine.is_holding() && !mine.is_behind();  // what is behind goes first: the packet may not take all of its own
  mine.last_byte = now;
  mine.has_stalled = mine.has_asked = mine.is_unproven = false;
  mine.in_next += static_cast<Position>(fresh.size());
  if (in_hand) {
    mine.buffer.assign(fresh.substr(decide(side, fresh, true, now)));
  } else {
    mine.buffer.append(fresh);
    mine.in_next = mine.disordered.take(mine.in_next, mine.buffer);
    const Position before = mine.decided;
    mine.buffer.erase(0, decide(side, mine.buffer, false, now));
    if (mine.decided != before) mine.held_since = now;
  }
  if (mine.disordered.empty()) mine.probes = 0;
  if (mine.buffer.empty()) {
    mine.is_raising = !mine.disordered.empty() && mine.is_raising;
  } else if (mine.has_whole_fin()) {
    stop_reading(mine, Event::stream_messages_given_up);  // it will never be whole
  } else if (!world_.has_room(host(), mine.buffer.size())) {
    give_up(mine);
  }
}

// Returns how many bytes of `run` were decided; sets decided, framer, map. `in_hand`: they are the payload of the packet
// that is being handled.
std::size_t Connection::decide(Side side, std::string_view run, bool in_hand, Instant now) {
  Half& mine = halves_[side];
  std::size_t used = 0;
  while (mine.is_reading && used < run.size()) {
    const std::string_view rest = run.substr(used);
    const Piece piece = mine.framer.next(rest, world_.limits.message_bytes);
    if (piece.kind == Piece::Kind::need_more) return used;
    is_dirty_ |= piece.kind != Piece::Kind::pass || mine.framer.is_between();
    if (piece.kind == Piece::Kind::message) {
      decide_message(side, rest.substr(0, piece.size), piece.bytes_behind, in_hand, now);
    } else if (piece.kind == Piece::Kind::pass || piece.kind == Piece::Kind::pass_too_big) {
      pass(mine, rest.substr(0, piece.size), in_hand);
    } else {
      mine.is_reading = false;
      is_sip_ &= piece.kind != Piece::Kind::not_sip;
      world_.stats.count(is_sip_ ? Event::stream_framing_lost : Event::streams_not_sip);
    }
    if (piece.kind == Piece::Kind::pass_too_big) world_.stats.count(Event::stream_messages_too_big);
    used += piece.size;
  }
  if (used < run.size()) pass(mine, run.substr(used), in_hand);
  return run.size();
}

// What was let in may have grown to twice its size.
bool Connection::may_keep(const Half& mine, std::size_t size) const {
  return mine.map.kept_bytes() + size <= 2 * world_.limits.kept_bytes && world_.has_room(host(), size);
}

// Kept when they may have to leave with another packet than their own.
void Connection::pass(Half& mine, std::string_view bytes, bool in_hand) {
  const bool must_keep = !in_hand || mine.taken > mine.decided;
  const bool fits = may_keep(mine, bytes.size());
  if (must_keep || (!mine.map.is_faithful() && fits)) return mine.keep(bytes);
  mine.decided += static_cast<Position>(bytes.size());
}

Reason Connection::may_become(const Half& mine, std::size_t size, bool is_resized, const Flow& flow) {
  if (size == 0 || !may_keep(mine, size)) return Reason::table_full;
  return is_resized && !guard(flow) ? Reason::kernel_refused : Reason::edited;
}

// Whatever fails there, the message leaves as it came, and the next one stands where it stood.
EditedMessage Connection::edit(const Half& mine, std::string_view held, std::size_t bytes_behind, const Flow& flow, Instant now) {
  const auto ask = [&](std::size_t size) {
    const Reason reason = may_become(mine, size, size != held.size(), flow);
    if (reason != Reason::edited) world_.stats.count(Event::stream_edits_refused);
    return reason;
  };
  try {
    return world_.editor.edit(held, bytes_behind, flow, ask, now);
  } catch (const std::exception&) {
    world_.stats.count(Event::stream_edits_refused);
    return {};
  }
}

void Connection::decide_message(Side side, std::string_view held, std::size_t bytes_behind, bool in_hand, Instant now) {
  Half& mine = halves_[side];
  Flow flow = flows_[side];
  flow.is_new = side == opener && mine.is_first_message;
  mine.is_first_message = false;
  const EditedMessage edited = edit(mine, held, bytes_behind, flow, now);
  if (!edited.is_edited) return pass(mine, held, in_hand);
  has_resized_ |= edited.bytes.size() != held.size();
  const Position end = mine.decided + static_cast<Position>(held.size());
  mine.map.append(mine.decided, end, edited.bytes, true);
  mine.decided = end;
}

void Connection::stop_reading(Half& mine, Event why) {
  if (mine.is_reading) world_.stats.count(why);
  mine.stop_reading();
  is_dirty_ = true;
}

// What is held leaves unchanged. When it is known where the message ends, the next one is read again. What stands behind a gap
// is its sender's: it sends it again with what fills the gap.
void Connection::give_up(Half& mine) {
  mine.disordered.clear();
  mine.probes = 0;
  if (mine.buffer.empty()) {
    mine.is_raising = false;
    return;
  }
  if (!mine.framer.skip_message()) return stop_reading(mine, Event::stream_messages_given_up);
  world_.stats.count(Event::stream_messages_given_up);
  static_cast<void>(mine.framer.next(mine.buffer, world_.limits.message_bytes));
  mine.keep(mine.buffer);
  mine.buffer.clear();
  mine.is_raising = false;
  is_dirty_ = true;
}

// One direction does not begin as SIP: what the other one says is no SIP either, however it looks.
void Connection::pass_for_good() {
  for (Half& half : halves_) {
    half.stop_reading();
    half.disordered.clear();
  }
  const auto is_plain = [](const Half& half) { return half.is_plain() && half.sent >= half.acknowledged; };
  if (!is_plain(halves_[0]) || !is_plain(halves_[1])) return;
  for (Half& half : halves_) {
    for (const Carrier& carrier : half.carriers) accept(carrier.ticket);
    half.carriers.clear();
  }
  is_over_ = true;
}

void Connection::end_as_no_sip(Instant now) {
  world_.stats.count(Event::streams_not_sip);
  is_sip_ = false;
  pass_for_good();
  if (is_over_) return;
  for (const Side side : {opener, answerer})
    if (!halves_[side].carriers.empty()) pump(side, nullptr, now);
}

// Behind the end of reading every packet leaves at once, in whatever order they come.
void Connection::pass_unread(Side side, const StreamPacket& packet, Position begin, Instant now) {
  Half& mine = halves_[side];
  const SegmentView& segment = packet.segment;
  const Position end = begin + static_cast<Position>(segment.payload.size());
  const bool was_behind = mine.is_behind();
  Ask ask{begin, end, segment.payload, room_of(side, packet), 0, end <= mine.decided, segment.has(tcp_fin)};
  if (segment.has(tcp_fin)) mine.fin = end;
  mine.is_unproven = false;
  mine.in_next = std::max(mine.in_next, end);
  mine.decided = std::max(mine.decided, end);
  if (!was_behind && mine.may_pass_plain() && halves_[other(side)].acknowledges_plain()) {
    mine.passed(end, segment.has(tcp_fin));
    return accept(packet.ticket);
  }
  if (!carry(side, outgoing_of(packet), ask, now)) probe(side, outgoing_of(packet));
}

}  // namespace sipalg
