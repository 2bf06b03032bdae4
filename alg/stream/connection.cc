// SPDX-License-Identifier: GPL-2.0-or-later
// A connection's life, and packets without data. See connection.h.
#include "alg/stream/connection.h"

#include <algorithm>

#include "alg/sip/scanner.h"

namespace sipalg {
namespace {

// RFC 9293 section 3.7.1: without the option it is small anyway. Lowered so that an edited segment still fits its way out.
uint16_t lowered_mss(uint16_t given, std::size_t mtu, std::size_t ip_header) {
  const std::size_t fits = mtu > ip_header + 20 ? mtu - ip_header - 20 : given;
  const std::size_t most = std::min<std::size_t>(given, fits);
  const std::size_t wanted = most > limits::stream_headroom ? most - limits::stream_headroom : 0;
  return static_cast<uint16_t>(std::min<std::size_t>(given, std::max<std::size_t>(wanted, limits::stream_lowest_mss)));
}

// Held is the beginning of the stream's first line: whether it is SIP is open.
bool is_first_line(const Half& half) { return !half.framer.has_begun() && half.disordered.empty(); }

}  // namespace

unsigned Connection::scale_of(Side side) const {
  // RFC 7323 section 2.2: only when both ends sent the option
  return halves_[0].window_scale && halves_[1].window_scale ? *halves_[side].window_scale : 0;
}

bool Connection::is_first_syn(const StreamPacket& packet) const {
  const Half& mine = halves_[packet.flow->begun_by_sender ? opener : answerer];
  return packet.segment.has(tcp_syn) && !(mine.is_open && mine.first == packet.segment.sequence + 1);
}

void Connection::handle(const StreamPacket& packet, Instant now) {
  const Side side = packet.flow->begun_by_sender ? opener : answerer;
  const SegmentView& segment = packet.segment;
  flows_[side] = *packet.flow;
  last_seen_ = now;
  if (segment.has(tcp_syn)) return on_syn(side, packet);
  if (!are_open()) {
    // the answer goes another way, or the connection is refused: nothing here can be followed
    is_over_ = segment.has(tcp_rst) || !segment.payload.empty();
    return accept(packet.ticket);
  }
  if (segment.has(tcp_rst)) return on_reset(side, packet);
  if (was_guarded_ && !is_credible(halves_[side], segment)) return is_guarded_ ? drop(packet.ticket) : accept(packet.ticket);
  for (Half& half : halves_) half.is_doubtful &= now < restored_at_ + world_.limits.closing;
  if (!on_acknowledgement(side, packet)) return;
  if (!segment.payload.empty() || segment.has(tcp_fin)) {
    on_data(side, packet, now);
  } else {
    on_pure(side, packet, now);
  }
  Half& acknowledged = halves_[other(side)];
  if (!acknowledged.carriers.empty() && acknowledged.wants_carrier(now)) pump(other(side), nullptr, now);
  is_closing_ |= halves_[0].is_finished() && halves_[1].is_finished();
  end_guarding();
  end_if_unread();
}

// From here on no segment may pass the daemon by, also when there is none. False: then no byte may be changed or taken over.
bool Connection::guard(const Flow& flow) {
  if (!is_guarded_) is_guarded_ = world_.outlet.begin_guarding(flow);
  was_guarded_ |= is_guarded_;
  return is_guarded_;
}

// Bytes were taken over and the receiver has them all: as long as no length has changed, the ends can do without us again.
void Connection::end_guarding() {
  if (!is_guarded_ || has_resized_ || !halves_[0].may_pass_plain() || !halves_[1].may_pass_plain()) return;
  is_guarded_ = false;
  is_dirty_ = true;
  settle();  // before segments may pass unseen
  world_.outlet.end_guarding(key_);
}

// RFC 9293 section 3.5. A SYN in a living connection is no first one: it passes, and its end answers (RFC 5961 section 4).
void Connection::on_syn(Side side, const StreamPacket& packet) {
  const SegmentView& segment = packet.segment;
  Half& mine = halves_[side];
  if (segment.is_signed) {
    is_over_ = true;
    return accept(packet.ticket);
  }
  if (!mine.is_open) mine.open(segment);
  if (mine.first != segment.sequence + 1) return accept(packet.ticket);
  Half& acknowledged = halves_[other(side)];
  if (segment.has(tcp_ack) && acknowledged.is_open) acknowledged.right_edge = std::max<Position>(acknowledged.right_edge, segment.window);
  is_dirty_ |= are_open();
  SegmentFields fields = fields_of(segment);
  const uint16_t mss = segment.mss == 0 ? uint16_t{0} : lowered_mss(segment.mss, packet.mtu, segment.transport_offset);
  if (mss == segment.mss && segment.payload.empty()) return accept(packet.ticket);
  fields.mss = mss;
  settle();
  write_segment(segment.headers, segment.transport_offset, fields, {}, out_);
  world_.outlet.accept(packet.ticket, out_);
}

// The receiver takes a reset only at the byte it expects (RFC 5961 section 3). A sender's own stands behind all it has sent, or
// where it was told that the receiver stands; any other is a guess of somebody's, and stays as far off as it was.
void Connection::on_reset(Side side, const StreamPacket& packet) {
  Half& mine = halves_[side];
  const Position begin = mine.position_of(packet.segment.sequence, mine.in_next);
  const Position expected = mine.map.to_in(mine.acknowledged);
  const bool is_at_end = begin == mine.in_next + (mine.has_whole_fin() ? 1 : 0);
  const bool is_true = is_at_end || begin == expected || begin == mine.taken;
  if (mine.may_pass_plain() && halves_[other(side)].acknowledges_plain()) {
    accept(packet.ticket);
  } else {
    Position at = begin <= mine.in_next ? mine.map.to_out(begin) : mine.decided_out() + begin - mine.decided;
    if (is_true) at = is_at_end ? pure_sequence(mine, begin) : mine.acknowledged;
    send(side, outgoing_of(packet), at, packet.segment.flags, packet.segment.payload);
  }
  if (!is_true) return;
  for (Half& half : halves_) {
    for (const Carrier& carrier : half.carriers) drop(carrier.ticket);
    half.carriers.clear();
    half.buffer.clear();
    half.disordered.clear();
    half.stop_reading();
  }
  is_closing_ = true;
}

// Conntrack does not judge what is guarded, and nothing that is far from what its sender sends may move anything here: not an
// acknowledgement, not a timestamp. Who only knows the addresses and ports hits a window of 2^32 by chance. A half that passed
// unread before it was restored stands nobody knows where.
bool Connection::is_credible(const Half& mine, const SegmentView& segment) {
  if (mine.is_restored && !mine.is_reading) return true;
  const Position begin = mine.position_of(segment.sequence, mine.in_next);
  const Position window = std::max<Position>(mine.right_edge - mine.acknowledged, 65'535);
  return begin >= mine.in_next - window && begin <= mine.in_next + window;
}

// False: it acknowledges what was never sent, and got its verdict.
bool Connection::on_acknowledgement(Side side, const StreamPacket& packet) {
  const SegmentView& segment = packet.segment;
  Half& mine = halves_[side];
  Half& acknowledged = halves_[other(side)];
  if (!segment.has(tcp_ack)) return true;
  const Position until = acknowledged.position_of(segment.acknowledgement, acknowledged.acknowledged);
  const bool is_pure = segment.payload.empty() && !segment.has(tcp_fin);
  const auto said = [&] { return std::pair{acknowledged_for(side), written_window(side)}; };
  const auto before = said();
  if (!acknowledged.acknowledge(until, until + (Position{segment.window} << scale_of(side)), is_pure)) {
    // of a connection that is guarded no TCP sends this (RFC 9293 section 3.10.7.4); others may have had bytes pass us by
    if (!mine.is_plain() || !acknowledged.is_plain()) return drop(packet.ticket), false;
    world_.stats.count(Event::stream_framing_lost);
    pass_for_good();
    accept(packet.ticket);
    return false;
  }
  if (acknowledged.may_take_over() && guard(*packet.flow)) {
    acknowledged.take_over();
    world_.stats.count(Event::stream_takeovers);
    is_dirty_ = true;
  }
  mine.note_stamp(segment, until);
  mine.has_news = before != said();
  return true;
}

void Connection::on_pure(Side side, const StreamPacket& packet, Instant now) {
  Half& mine = halves_[side];
  Half& acknowledged = halves_[other(side)];
  const Position begin = mine.position_of(packet.segment.sequence, mine.in_next);
  const bool wants_answer = begin + 1 == mine.in_next + (mine.has_whole_fin() ? 1 : 0);  // a keepalive, a window probe
  if (wants_answer) mine.probed = 0;  // every one is for its sender, also when some of ours were lost
  Ask ask;
  ask.begin = ask.end = begin;
  ask.room = room_of(side, packet);
  // its own bytes first: what they are answered with is a packet for the other half's
  if (mine.wants_carrier(now) && carry(side, outgoing_of(packet), ask, now)) return;
  if (acknowledged.carriers.empty() && (acknowledged.wants_carrier(now) || acknowledged.lacks_carrier())) {
    acknowledged.has_asked = true;
    return wants_answer ? probe(side, outgoing_of(packet)) : probe_for_us(side, outgoing_of(packet));
  }
  if (mine.has_asked && mine.owes_held() && mine.carriers.empty()) {
    if (!mine.has_news) return wait(side, packet, begin);
    mine.has_asked = false;  // the other end must hear of it; its answer asks for another packet
    return probe_for_us(side, outgoing_of(packet));
  }
  // behind a gap repeated acknowledgements tell of it; with SACK nobody counts them, and the one that told may have been lost
  if (!has_sack() && acknowledged.answers_us && !mine.has_news && acknowledged.disordered.empty()) return drop(packet.ticket);
  const bool is_sent = begin <= mine.decided || (mine.fin_sent && mine.may_pass_plain());
  if (mine.is_plain() && is_sent && !mine.is_behind() && acknowledged.acknowledges_plain()) return accept(packet.ticket);
  // A keepalive or window probe behind held bytes wants an answer: it must be old for the receiver, too. Exactly that: other
  // acknowledgements from below in_next (a window's edge, a rewound sender) would be answered for ever.
  if (begin >= mine.decided && begin + 1 == mine.in_next) return probe(side, outgoing_of(packet));
  send(side, outgoing_of(packet), pure_sequence(mine, begin), packet.segment.flags, {});
}

void Connection::tick(Instant now) {
  if (are_open()) {
    tick_half(opener, now);
    tick_half(answerer, now);
  }
  end_if_unread();
  is_over_ |= now >= last_seen_ + life();
  if (is_over_ || now < asked() + world_.limits.silence) return;
  asked_ = now;
  is_over_ = !world_.outlet.is_alive(key_);
}

void Connection::tick_half(Side side, Instant now) {
  Half& mine = halves_[side];
  if (!mine.is_holding()) return;
  if (now >= held_until(mine)) {
    if (is_first_line(mine)) return end_as_no_sip(now);
    give_up(mine);
    return pump(side, nullptr, now);
  }
  if (mine.has_stalled || now < stalls_at(mine)) return;
  // another protocol, whose client waits for an answer: nothing of it was taken over, so it leaves as it came
  if (is_first_line(mine) && !sip::may_begin_common(mine.buffer)) return end_as_no_sip(now);
  mine.has_stalled = true;
  mine.is_raising = true;
  mine.raised_at = now;
  if (mine.carriers.empty()) return;
  Carrier newest = std::move(mine.carriers.back());
  mine.carriers.pop_back();
  probe_or_carry(side, std::move(newest), now);
}

StreamSummary Connection::summary() const {
  using State = StreamSummary::State;
  const State state = is_closing_ ? State::closing : are_open() ? State::open : State::opening;
  return {key_, state, halves_[opener].is_reading, halves_[answerer].is_reading, has_resized_, held_packets(), held_bytes(),
          last_seen_};
}

Instant Connection::held_until(const Half& half) const {
  return half.held_since + (is_first_line(half) ? world_.limits.first_line : world_.limits.hold);
}

Instant Connection::stalls_at(const Half& half) const {
  return std::min(half.last_byte + world_.limits.stall, std::max(half.held_since, half.raised_at) + world_.limits.longest_stall);
}

limits::milliseconds Connection::life() const {
  return is_closing_ ? world_.limits.closing : are_open() ? world_.limits.idle : world_.limits.opening;
}

Instant Connection::due() const {
  Instant due = std::min(last_seen_ + life(), asked() + world_.limits.silence);
  for (const Half& half : halves_) {
    if (!half.is_holding()) continue;
    due = std::min(due, held_until(half));
    if (!half.has_stalled) due = std::min(due, stalls_at(half));
  }
  return due;
}

// Neither direction is read any more and nothing was changed: it may pass as any connection that was never followed.
void Connection::end_if_unread() {
  if (!are_open() || halves_[0].is_ordering() || halves_[1].is_ordering()) return;
  is_over_ |= halves_[0].may_pass_plain() && halves_[1].may_pass_plain() && !halves_[0].is_behind() && !halves_[1].is_behind();
}

void Connection::answer_all() {
  for (Half& half : halves_) {
    for (const Carrier& carrier : half.carriers) drop(carrier.ticket);
    half.carriers.clear();
  }
}

void Connection::forget() {
  answer_all();
  if (is_stored_ && world_.store != nullptr) world_.store->forget(key_);
  is_stored_ = is_dirty_ = false;
}

}  // namespace sipalg
