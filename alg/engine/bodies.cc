// SPDX-License-Identifier: GPL-2.0-or-later
// SDP in a message: mapped when it leaves, read when it comes; the leg's media follows the offer/answer (RFC 3264).
//
// How it works
//   Each SDP of the inside gets the next number of its leg (Leg::sequence) and marks every door it needs with it. When an
//   answer settles an exchange, doors whose mark is older are closed 64*T1 later; when an offer is refused, the doors that
//   only it asked for are. Doors of a line that goes on keep their mark moving, so they and their ports stay.
//   A copy of an SDP (a retransmission, however late) is mapped to the same bytes and opens, owns and marks nothing.
#include <algorithm>
#include <utility>

#include "alg/engine/exchange.h"

namespace sipalg {

using sip::Method;

// Offers and answers stand in INVITE, PRACK, UPDATE, ACK and in 1xx and 2xx to them (RFC 6337 section 2).
bool Exchange::may_carry_sdp() const {
  const Method method = message_.method;
  if (method == Method::ack) return message_.is_request;
  if (method != Method::invite && method != Method::prack && method != Method::update) return false;
  return message_.is_request || message_.status < 300;
}

bool Exchange::is_answer() const {
  if (!message_.is_request) return transaction_ && transaction_->request_had_sdp;
  if (message_.method == Method::ack) return true;
  return transaction_ && transaction_->is_prack_answer;
}

// PRACK answers when the INVITE carried no offer; the next one in that dialog offers (RFC 3262 section 5).
void Exchange::note_prack_answer() {
  if (message_.method != Method::prack || !message_.is_request || is_known_ || !transaction_) return;
  for (TransactionId id : leg_->invites) {
    Transaction* invite = rooms_.calls.transaction(id);
    if (!invite) continue;
    std::vector<std::string>& answered = invite->prack_answered;
    const std::string dialog(dialog_tag());
    if (invite->request_had_sdp || std::ranges::find(answered, dialog) != answered.end()) return;
    if (answered.size() >= limits::dialogs_per_call) return;
    answered.push_back(dialog);
    transaction_->is_prack_answer = true;
    return;
  }
}

void Exchange::handle_bodies() {
  if (message_.body.empty()) return;
  if (message_.is_unreadable(sip::Unreadable::content_type)) return fail_group(true, Reason::body_malformed);
  const sdp::Parts parts = sdp::find_parts(passage_.bytes, message_);
  const bool encoded = parts.opaque || (message_.has_auth_int && !parts.sdp.empty());
  if (encoded) return fail_group(true, Reason::body_encoded);
  if (parts.malformed) return fail_group(true, Reason::body_malformed);
  if (parts.sdp.empty()) return;
  if (!may_carry_sdp() || !leg_) return rooms_.stats.count_group(Reason::body_not_for_doors);
  if (is_body_failed()) return leave_group(true);
  note_prack_answer();
  begin_body();
  for (const sdp::Part& part : parts.sdp) handle_body(part);
  if (transaction_ && message_.is_request) transaction_->request_had_sdp = true;
}

void Exchange::handle_body(const sdp::Part& part) {
  if (!sdp::scan(passage_.bytes, part.body, rooms_.session)) return fail_group(true, Reason::body_malformed);
  if (!body_is_copy_) count_media(rooms_.session, rooms_.stats);
  if (!passage_.out) return read_remote_body(part);
  Group group(rules_, passage_.now);
  map_body(part, group);
}

// The same SDP of the same party in the same place; a 2xx is no copy of a 1xx.
std::size_t Exchange::body_mark() const {
  const std::hash<std::string_view> hash;
  const std::size_t place = message_.is_request ? message_.cseq : message_.status < 200 ? 1 : 2;
  return hash(passage_.text(message_.body)) ^ hash(passage_.text(message_.to.tag)) * 31 ^ place * 131;
}

// The ACK to a 2xx has no transaction: the leg remembers its last one.
bool Exchange::is_body_failed() const {
  if (transaction_) return message_.is_request ? transaction_->body_failed : transaction_->response_body_failed;
  return leg_->ack_body_failed && leg_->ack_body == body_mark();
}

void Exchange::mark_body_failed() {
  if (transaction_) {
    (message_.is_request ? transaction_->body_failed : transaction_->response_body_failed) = true;
  } else {
    leg_->ack_body_failed = true;
  }
}

void Exchange::begin_body() {
  const std::size_t mark = body_mark();
  if (!transaction_) {
    body_is_copy_ = leg_->ack_body == mark;
    leg_->ack_body = mark;
    leg_->ack_body_failed = false;
    return;
  }
  std::vector<std::size_t>& known = transaction_->bodies;
  body_is_copy_ = std::ranges::find(known, mark) != known.end();
  if (!body_is_copy_ && known.size() < limits::bodies_per_transaction) known.push_back(mark);
}

void Exchange::map_body(const sdp::Part& part, Group& group) {
  const bool is_late = changes_nothing();
  SdpMap map(rules_, passage_, group, rooms_.session, is_answer(), is_late);
  map.run();
  const long growth = rooms_.edits.growth(part.body.begin, part.body.end);
  if (part.content_length.is_set() && growth != 0)
    group.edit(part.content_length, Field::content_length, std::to_string(static_cast<long>(part.body.size()) + growth));
  if (is_late && !group.failed()) return group.release_doors();  // nothing comes back
  if (!group.commit()) {
    fail_group(true, group.reason());
    return mark_body_failed();
  }
  if (!is_answer()) remember_before_offer();
  own_media(map);
  note_sdp();
}

// A copy, or a message of a call, an early dialog or an attempt that is over: mapped to what it was, or would have been.
bool Exchange::changes_nothing() const {
  if (body_is_copy_ || leg_->ends) return true;
  if (!message_.is_request && message_.status < 200 && transaction_ && transaction_->is_final()) return true;
  const Dialog* dialog = leg_->find_dialog(dialog_tag());
  return dialog && dialog->state == Dialog::State::ended;
}

MediaSession* Exchange::media_session() {
  if (Dialog* dialog = leg_->find_dialog(dialog_tag())) return &dialog->session;
  return transaction_ ? &transaction_->offered : nullptr;
}

void Exchange::remember_before_offer() {
  if (transaction_ && !transaction_->before_offer) transaction_->before_offer = *media_session();
}

// Held is a matter of the pair: an answer in the manner of RFC 2543, which says nothing of a direction, ends no hold that the
// offer asked for (RFC 3264 sections 6.1 and 8.4).
void Exchange::note_sdp() {
  const bool holds = is_hold(rooms_.session);
  MediaSession* session = media_session();
  if (!session) return;
  if (Dialog* dialog = leg_->find_dialog(dialog_tag())) dialog->has_sdp = true;
  session->held = holds || (is_answer() && session->offer_holds);
  if (!is_answer()) session->offer_holds = holds;
  session->streams = stream_notes(passage_.bytes, rooms_.session);
}

// The leg holds a door once for each line and dialog that needs it.
void Exchange::use(MediaUse wanted) {
  for (MediaUse& known : leg_->media) {
    if (known.door != wanted.door || known.line != wanted.line || known.dialog != wanted.dialog) continue;
    rooms_.doors.release(wanted.door, passage_.now);
    known.last = std::max(known.last, wanted.last);
    known.ends.reset();
    return;
  }
  if (leg_->media.size() >= limits::doors_per_dialog) return rooms_.doors.release(wanted.door, passage_.now);
  leg_->media.push_back(std::move(wanted));
}

void Exchange::own_media(const SdpMap& map) {
  if (sequence_ == 0) sequence_ = ++leg_->sequence;
  const uint32_t sequence = sequence_;
  const std::string dialog(dialog_tag());
  for (const MappedUse& mapped : map.uses)
    use({mapped.door, mapped.line, mapped.is_rtcp, false, dialog, sequence, sequence, std::nullopt});
  if (is_answer()) {
    replace_older(sequence, false, dialog);
  } else if (transaction_) {
    transaction_->offer = leg_->open_offer = sequence;
  }
  for (Dialog& other : leg_->dialogs)
    if (other.state != Dialog::State::ended) open_ways_out(other, is_answer() && other.tag == dialog);
}

// An exchange is settled: what an older SDP of this dialog asked for and this one did not goes, 64*T1 from now. A line
// that is off or held for the moment keeps its doors by not being replaced: it has no newer ones.
void Exchange::replace_older(uint32_t sequence, bool way_out, std::string_view dialog) {
  const auto is_renewed = [&](const MediaUse& old) {
    return std::ranges::any_of(leg_->media, [&](const MediaUse& use) {
      return use.line == old.line && use.is_rtcp == old.is_rtcp && use.is_way_out == way_out && use.last >= sequence;
    });
  };
  // the offer of the first INVITE is common to all branches that answered it
  const bool is_forked = std::ranges::count_if(leg_->dialogs, &Dialog::is_call) > 1;
  for (MediaUse& use : leg_->media) {
    if (use.is_way_out != way_out || use.last >= sequence || use.ends) continue;
    if (use.dialog.empty() ? is_forked : use.dialog != dialog) continue;
    if (is_renewed(use)) rooms_.calls.end_use(use, passage_.now + limits::transaction_end);
  }
  rooms_.calls.schedule_leg(leg_id_);
}

void Exchange::accept_offer(bool remote_muxed) {
  const uint32_t offer = message_.method == Method::ack ? std::exchange(leg_->open_offer, 0)
                         : transaction_                 ? transaction_->offer
                                                        : 0;
  if (offer == 0) return;
  if (leg_->is_confirmed()) replace_older(offer, false, dialog_tag());
  if (!remote_muxed) return;
  for (MediaUse& use : leg_->media)
    if (use.is_rtcp && !use.is_way_out) rooms_.calls.end_use(use, passage_.now + limits::transaction_end);
  rooms_.calls.schedule_leg(leg_id_);
}

void Exchange::read_remote_body(const sdp::Part& part) {
  {
    Group group(rules_, passage_.now);
    restore_remote_candidates(rules_, group, rooms_.session, *leg_);
    const long growth = rooms_.edits.growth(part.body.begin, part.body.end);
    if (part.content_length.is_set() && growth != 0)
      group.edit(part.content_length, Field::content_length, std::to_string(static_cast<long>(part.body.size()) + growth));
    if (!group.commit()) fail_group(true, group.reason());
  }
  if (changes_nothing()) return;
  const bool begins_attempt = message_.is_request && !is_in_dialog();
  Dialog* dialog = begins_attempt ? nullptr : rooms_.calls.add_dialog(*leg_, dialog_tag());
  const bool answers = is_answer();
  if (!answers) remember_before_offer();
  note_sdp();
  if (dialog ? dialog->hung_up : !begins_attempt) return;
  std::vector<RemoteStream>& remote = media_session()->remote;
  if (!std::exchange(remote_was_read_, true)) remote.clear();
  const auto streams = remote_streams(rooms_.session);
  remote.insert(remote.end(), streams.begin(), streams.end());
  if (!dialog) return;
  const bool muxed = std::ranges::all_of(rooms_.session.media, [](const sdp::Media& m) { return m.port_number == 0 || m.rtcp_mux; });
  if (answers) accept_offer(muxed && !rooms_.session.media.empty());
  const uint32_t sequence = open_ways_out(*dialog, answers);
  if (!answers && transaction_) transaction_->remote_offer = sequence;
}

// From each inside host of a line to both remote endpoints of that line. `settled`: the ones of an older SDP go.
uint32_t Exchange::open_ways_out(Dialog& dialog, bool settled) {
  const uint32_t sequence = ++leg_->sequence;
  std::vector<std::pair<DoorId, const RemoteStream*>> claimed;
  const auto claim = [&](const RemoteStream& stream, const Address& host, const Endpoint& remote) {
    if (!is_remote(rules_, passage_, stream.protocol, remote)) return;
    const auto door = rooms_.doors.claim_way_out(stream.protocol, host, remote, false, leg_->zone);
    if (door) claimed.emplace_back(*door, &stream);
  };
  for (const RemoteStream& stream : dialog.session.remote) {
    std::vector<Address> hosts;
    for (const MediaUse& use : leg_->media) {
      const Door* door = rooms_.doors.find(use.door);
      if (!door || use.is_way_out || use.line != stream.line) continue;
      const Address& host = door->kernel.inside.address;
      if (std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(host);
    }
    for (const Address& host : hosts) {
      claim(stream, host, stream.rtp);
      if (stream.rtcp.is_set()) claim(stream, host, stream.rtcp);
    }
  }
  std::vector<DoorId> doors;
  for (const auto& [door, stream] : claimed) doors.push_back(door);
  if (!open_or_release(rules_, doors, passage_.now)) return sequence;
  for (const auto& [door, stream] : claimed)
    use({door, stream->line, false, true, dialog.tag, sequence, sequence, std::nullopt});
  if (settled && leg_->is_confirmed()) replace_older(sequence, true, dialog.tag);
  return sequence;
}

}  // namespace sipalg
