// SPDX-License-Identifier: GPL-2.0-or-later
// What packets leave as. See connection.h and half.h.
#include <algorithm>

#include "alg/stream/connection.h"

namespace sipalg {
namespace {

constexpr std::size_t longest_sack = 4 + most_sack_blocks * 8;

}  // namespace

void Connection::settle() {
  if (!is_dirty_ || is_over_ || world_.store == nullptr) return;
  is_dirty_ = false;
  is_stored_ = true;
  world_.store->save(key_, saved(), is_guarded_);
}

void Connection::accept(Ticket ticket) {
  settle();
  world_.outlet.accept(ticket);
}

void Connection::drop(Ticket ticket) { world_.outlet.drop(ticket); }

Connection::Outgoing Connection::outgoing_of(const StreamPacket& packet) {
  return {packet.ticket, packet.segment.headers, packet.segment.transport_offset, packet.segment.flags, &packet};
}
Connection::Outgoing Connection::outgoing_of(const Carrier& carrier) {
  return {carrier.ticket, carrier.headers, carrier.transport_offset, carrier.flags, nullptr};
}

// A packet that came larger than the MTU leaves larger (it will be segmented again).
std::size_t Connection::room_of(Side side, const StreamPacket& packet) const {
  const std::size_t whole = std::min<std::size_t>(std::max(packet.mtu, packet.size), 65'535);
  const bool may_grow = packet.segment.sack.count != 0 || !halves_[other(side)].disordered.empty();
  const std::size_t used = packet.segment.headers.size() + (may_grow ? longest_sack : 0);
  return whole > used ? whole - used : 0;
}

void Connection::wait(Side side, const StreamPacket& packet, Position begin) {
  const SegmentView& segment = packet.segment;
  Carrier carrier;
  carrier.ticket = packet.ticket;
  carrier.headers.assign(segment.headers.begin(), segment.headers.end());
  carrier.transport_offset = segment.transport_offset;
  carrier.flags = segment.flags;
  carrier.begin = begin;
  carrier.end = begin + static_cast<Position>(segment.payload.size());
  carrier.room = room_of(side, packet);
  halves_[side].carriers.push_back(std::move(carrier));
}

// Everything that waits leaves as it came, when all of it was decided and none of it changed.
bool Connection::release_plain(Side side) {
  Half& mine = halves_[side];
  if (!mine.is_plain() || mine.is_holding() || !halves_[other(side)].acknowledges_plain()) return false;
  Position first = mine.decided, last = mine.cursor;
  for (const Carrier& carrier : mine.carriers) {
    if (carrier.is_stale || carrier.end > mine.decided) return false;  // the latter: given up behind a gap
    first = std::min(first, carrier.begin);
    last = std::max(last, carrier.end);
  }
  if (first > mine.cursor || last < mine.decided) return false;
  for (const Carrier& carrier : mine.carriers) {
    mine.passed(carrier.end, (carrier.flags & tcp_fin) != 0);
    accept(carrier.ticket);
  }
  mine.carriers.clear();
  mine.forget_sent();
  return true;
}

// Sends what can be sent on the packets that wait; `packet` is the newest of them, when it is in hand.
void Connection::pump(Side side, const StreamPacket* packet, Instant now) {
  Half& mine = halves_[side];
  if (release_plain(side)) return;
  std::size_t room_after = 0;
  for (const Carrier& carrier : mine.carriers) room_after += carrier.room;
  while (!mine.carriers.empty()) {
    const bool has_fin_to_send = mine.has_whole_fin() && !mine.fin_sent;
    if (!mine.is_behind() && !has_fin_to_send && !(mine.owes() && now >= mine.resend_at)) break;
    const Carrier carrier = std::move(mine.carriers.front());
    mine.carriers.pop_front();
    room_after -= carrier.room;
    const bool is_in_hand = packet != nullptr && carrier.ticket == packet->ticket;
    Ask ask{carrier.begin, carrier.end, {}, carrier.room, room_after, false, (carrier.flags & tcp_fin) != 0};
    if (is_in_hand) ask.payload = packet->segment.payload;
    const Outgoing outgoing = is_in_hand ? outgoing_of(*packet) : outgoing_of(carrier);
    if (carry(side, outgoing, ask, now)) continue;
    probe(side, outgoing);  // no room in the receiver's window: it answers with what it has now
    break;
  }
  if (!mine.is_holding()) {
    for (const Carrier& carrier : mine.carriers) drop(carrier.ticket);  // others took their bytes along
    mine.carriers.clear();
    return;
  }
  while (mine.carriers.size() > most_carriers()) {
    mine.is_raising = true;
    const Carrier oldest = std::move(mine.carriers.front());
    mine.carriers.pop_front();
    probe_for_us(side, outgoing_of(oldest));
  }
  if (mine.carriers.empty()) mine.is_raising = true;
}

// False: there is nothing it could carry.
bool Connection::carry(Side side, const Outgoing& outgoing, const Ask& ask, Instant now) {
  Chunk chunk;
  if (!halves_[side].next_chunk(ask, world_.limits, now, chunk)) return false;
  uint8_t flags = static_cast<uint8_t>(outgoing.flags & ~tcp_fin);
  if (!chunk.bytes.empty()) flags |= tcp_psh;
  if (chunk.has_fin) flags |= tcp_fin;
  send(side, outgoing, chunk.begin, flags, chunk.bytes);
  halves_[side].forget_sent();
  return true;
}

// A byte that the receiver has acknowledged: it is answered at once, and its content is never read.
void Connection::probe(Side side, const Outgoing& outgoing) {
  const auto flags = static_cast<uint8_t>(outgoing.flags & ~(tcp_psh | tcp_fin | tcp_urg));
  send(side, outgoing, halves_[side].acknowledged - 1, flags, std::string_view("\0", 1));
}

// Its sender does not wait for the answer: when it says nothing new to him, it is one repeated acknowledgement less.
void Connection::probe_for_us(Side side, const Outgoing& outgoing) {
  ++halves_[side].probed;
  probe(side, outgoing);
}

void Connection::probe_or_carry(Side side, Carrier carrier, Instant now) {
  Ask ask{carrier.begin, carrier.end, {}, carrier.room, 0, false, false};
  if (halves_[side].wants_carrier(now) && carry(side, outgoing_of(carrier), ask, now)) return;
  probe_for_us(side, outgoing_of(carrier));
}

// Where a segment without data stands.
Position Connection::pure_sequence(const Half& mine, Position begin) const {
  const Position all = mine.decided_out();
  if (begin < mine.decided) return mine.map.to_out(begin + 1) - 1;  // as far below as it was: a keepalive stays one
  const bool is_behind_fin = mine.fin_sent && mine.fin && begin == *mine.fin + 1 && mine.decided == *mine.fin;
  return is_behind_fin ? all + 1 : std::min(mine.sent, all);
}

SackBlocks Connection::sack_for(Side side, const StreamPacket* packet, Position acknowledged) const {
  const Half& data = halves_[other(side)];
  SackBlocks out;
  // a packet that waited has no room reserved for them, and others have gone since that told
  if (packet == nullptr || !has_sack()) return out;
  const auto add = [&](Position begin, Position end) {
    begin = std::max(begin, acknowledged + 1);
    if (begin < end && out.count < most_sack_blocks) out.add({data.sequence_of(begin), data.sequence_of(end)});
  };
  data.disordered.for_each_run(add);
  for (const SackBlock& block : packet->segment.sack.all()) {
    const Position begin = data.position_of(block.begin, data.acknowledged), end = data.position_of(block.end, data.acknowledged);
    if (begin <= data.acknowledged || end > data.sent) continue;
    add(data.map.first_in(begin), data.map.to_in(end));
  }
  return out;
}

Position Connection::acknowledged_for(Side side) const {
  const Half& data = halves_[other(side)];
  return std::max(data.map.to_in(halves_[side].stamp.acknowledged), data.taken);
}

// How far the sender may send: as far as the receiver says, and as what must be kept of it behind an edit has room here. A message
// that is larger than the receiver's window and held in part would never be whole; what was taken over of it lies here, so the
// room for its rest is ours, too.
Position Connection::edge_for(Side side) const {
  const Half& mine = halves_[side];
  const Half& data = halves_[other(side)];
  Position edge = data.map.to_in(mine.stamp.acknowledged + (Position{mine.stamp.window} << scale_of(side)));
  const std::size_t kept = std::min(world_.limits.kept_bytes, data.map.kept_bytes());
  // half: what comes may grow, to twice its size at most for all we know
  if (!data.map.is_faithful()) edge = std::min(edge, data.in_next + static_cast<Position>((world_.limits.kept_bytes - kept) / 2));
  if (!data.owes_held()) return edge;
  const std::size_t lacking = data.framer.lacking(data.buffer.size());
  const std::size_t most = world_.limits.message_bytes - std::min(world_.limits.message_bytes, data.buffer.size());
  return std::max(edge, data.in_next + static_cast<Position>(std::min(lacking, most)));
}

// What is left of the window, in the receiver's unit. Less than one unit is written as one: the sender would take 0 for a
// closed window; what then does not fit stays kept until it does.
uint16_t Connection::written_window(Side side) const {
  const Position room = edge_for(side) - acknowledged_for(side);
  const Position units = room > 0 ? std::max<Position>(room >> scale_of(side), 1) : 0;
  const Position most = halves_[other(side)].owes_held() ? 65'535 : halves_[side].stamp.window;
  return static_cast<uint16_t>(std::min(units, most));
}

void Connection::send(Side side, const Outgoing& outgoing, Position sequence, uint8_t flags, std::string_view payload) {
  settle();
  const Half& mine = halves_[side];
  const Half& data = halves_[other(side)];
  SegmentFields fields;
  fields.sequence = mine.sequence_of(sequence);
  fields.flags = flags;
  const Position acknowledged = acknowledged_for(side);
  if ((flags & tcp_ack) != 0) fields.acknowledgement = data.sequence_of(acknowledged);
  fields.window = written_window(side);
  fields.timestamps = mine.stamp.timestamps;
  fields.sack = sack_for(side, outgoing.packet, acknowledged);
  if ((flags & tcp_urg) != 0 && outgoing.packet != nullptr) {
    const Position begin = mine.position_of(outgoing.packet->segment.sequence, mine.in_next);
    const Position urgent = mine.map.to_out(begin + outgoing.packet->segment.urgent) - sequence;
    fields.urgent = static_cast<uint16_t>(std::clamp<Position>(urgent, 0, 65'535));
  }
  if (fields.urgent == 0) fields.flags &= static_cast<uint8_t>(~tcp_urg);
  write_segment(outgoing.headers, outgoing.transport_offset, fields, payload, out_);
  world_.outlet.accept(outgoing.ticket, out_);
}

}  // namespace sipalg
