// SPDX-License-Identifier: GPL-2.0-or-later
// The leg's media follows the offer/answer (RFC 3264); how is told in bodies.cc and alg/calls/offers.cc.
#include <algorithm>
#include <utility>

#include "alg/engine/exchange.h"

namespace sipalg {

using sip::Method;

// A 1xx to a re-INVITE with an answer: when a refusal follows, the old session stays.
bool Exchange::is_preview() const {
  return !message_.is_request && message_.status < 200 && message_.method == Method::invite && transaction_->dialog != 0 &&
         is_answer();
}

// The SDP of a 2xx that a 1xx has carried already, while the session has moved on by UPDATE or PRACK (RFC 3261 section 13.2.1:
// what follows the answer is ignored).
bool Exchange::repeats_older() const {
  if (message_.is_request || message_.method != Method::invite) return false;
  const Dialog* dialog = find_dialog();
  if (!dialog) return false;
  if (!is_answer()) return dialog->exceptions->late_invite == transaction_id_ && dialog->exceptions->late_answered;
  const bool was_answered = dialog->answered_invite == transaction_id_ || transaction_->offer.answered_early;
  return was_answered && dialog->stands > transaction_->offer.sdp;
}

Offer* Exchange::offer_of_message() {
  const bool is_late = transaction_ ? message_.is_request ? transaction_->is_prack_answer : !transaction_->request_had_sdp : true;
  if (!is_late) return &transaction_->offer;
  Dialog* dialog = find_dialog();
  if (!dialog || (message_.is_request && dialog->exceptions->late_answered)) return nullptr;
  return &dialog->exceptions.write().late_offer;
}

void Exchange::begin_sdp() {
  if (sequence_ != 0) return;
  waits_ = !is_answer() || is_preview();
  Offer* offer = offer_of_message();
  const bool joins = offer && is_preview() && offer->sdp != 0;  // refused or taken with its offer
  sequence_ = joins ? offer->sdp : ++leg_->sequence;
  if (!offer) return;
  if (!waits_) return rooms_.calls.take_offer(*leg_, *offer, sequence_);
  if (is_answer()) {
    offer->sdp = sequence_;
    offer->answered_early = true;
    return;
  }
  if (!message_.is_request) {
    rooms_.calls.give_up_offer(*leg_, *offer, passage_.now);  // one that nobody answered
    Dialog::Exceptions& late = find_dialog()->exceptions.write();
    late.late_invite = transaction_id_;
    late.late_answered = false;
  }
  offer->begin(sequence_, passage_.out);
}

// The session that the message's SDP is a part of. Held is a matter of the pair: an answer in the manner of RFC 2543, which says
// nothing of a direction, ends no hold that the offer asked for (RFC 3264 sections 6.1 and 8.4).
MediaSession* Exchange::note_sdp() {
  const bool holds = is_hold(scratch_.session);
  Dialog* dialog = find_dialog();
  Offer* offer = offer_of_message();
  MediaSession* said = waits_ ? offer ? &offer->said : nullptr : dialog ? &dialog->session : nullptr;
  if (!said) return nullptr;
  if (!waits_ && offer && offer->sdp == sequence_ && !std::exchange(offer_was_taken_, true)) *said = offer->said;
  if (is_answer()) {
    said->set_hold(holds || said->offer_holds(), said->offer_holds());
  } else {
    said->set_hold(holds, holds);
  }
  note_streams(passage_.bytes, scratch_.session, *said);
  if (!passage_.out) {
    if (!std::exchange(remote_was_read_, true)) said->clear_remote();
    add_remote_streams(scratch_.session, *said);
  }
  if (dialog && waits_ && dialog->stands == 0) dialog->session = *said;  // nothing to come back to
  if (dialog) dialog->has_sdp = true;
  return said;
}

// The leg holds a door once for each line, dialog and offer that needs it.
void Exchange::use(MediaUse wanted) {
  std::size_t of_dialog = 0;
  for (MediaUse& known : leg_->media) {
    if (known.dialog != wanted.dialog) continue;
    ++of_dialog;
    if (known.door != wanted.door || known.line != wanted.line) continue;
    if (!known.ends && known.sdp != wanted.sdp && (known.waits || wanted.waits)) continue;
    rooms_.doors.release(wanted.door, passage_.now);
    known.sdp = wanted.sdp;
    known.waits = wanted.waits;
    known.ends.reset();
    return;
  }
  if (of_dialog >= limits::doors_per_dialog) return rooms_.doors.release(wanted.door, passage_.now);
  leg_->media.push_back(std::move(wanted));
}

void Exchange::follow_inside_sdp(std::span<const MappedUse> uses) {
  begin_sdp();
  for (const MappedUse& mapped : uses)
    use({mapped.door, dialog_tag(), sequence_, mapped.line, mapped.is_rtcp, false, waits_, {}});
  const MediaSession* said = note_sdp();
  const Dialog* dialog = find_dialog();
  if (!dialog || !said || !is_answer()) return;  // who offers sends when he has the answer
  open_ways_out(*dialog, *said);
  settle(false);
}

// Offer and answer are there: both stand.
void Exchange::settle(bool muxed) {
  Dialog* dialog = find_dialog();
  if (Offer* offer = waits_ ? offer_of_message() : nullptr; offer && offer->answered_early) offer->is_muxed = muxed;
  if (waits_ || !dialog) return;
  dialog->stands = sequence_;
  dialog->muxed = muxed;
  if (message_.is_request) {
    dialog->exceptions.write().late_answered = true;
  } else if (message_.method == Method::invite) {
    dialog->answered_invite = transaction_id_;
  }
  rooms_.calls.replace_older(*leg_, *dialog, passage_.now);
  is_rescheduled_ = true;
}

// The 2xx to a re-INVITE whose 1xx brought the answer.
void Exchange::take_early_answer(Dialog& dialog) {
  Offer& offer = transaction_->offer;
  if (!offer.answered_early || dialog.answered_invite == transaction_id_ || dialog.stands > offer.sdp) return;
  rooms_.calls.take_offer(*leg_, offer, ++leg_->sequence);
  dialog.session = offer.said;
  dialog.stands = offer.sdp;
  dialog.muxed = offer.is_muxed;
  dialog.answered_invite = transaction_id_;
}

// From each inside host of a line to both remote endpoints of that line.
void Exchange::open_ways_out(const Dialog& dialog, const MediaSession& said) {
  SmallList<std::pair<DoorId, uint8_t>, 4> claimed;  // and its line
  DoorId sibling = 0;  // a media door of the call: they will end together
  const auto claim = [&](const RemoteStream& stream, const Address& host, const Endpoint& to) {
    if (!is_remote(rules_, passage_, stream.protocol, to)) return;
    const auto door = rooms_.doors.claim_way_out(stream.protocol, host, to, false, rooms_.calls.path_of(*leg_).zone);
    if (door) claimed.emplace_back(*door, stream.line);
  };
  said.for_each_remote([&](const RemoteStream& stream) {
    SmallList<Address, 4> hosts;
    for (const MediaUse& use : leg_->media) {
      if (use.is_way_out || use.line != stream.line) continue;
      const Address host = rooms_.doors.inside_host_of(use.door);
      if (!host.is_set()) continue;
      sibling = use.door;
      if (std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(host);
    }
    for (const Address& host : hosts) {
      claim(stream, host, stream.rtp);
      if (stream.rtcp.is_set()) claim(stream, host, stream.rtcp);
    }
  });
  SmallList<DoorId, 4> doors;
  for (const auto& [door, line] : claimed) doors.push_back(door);
  if (!open_or_release(rules_, doors, passage_.now, sibling)) return;
  for (const auto& [door, line] : claimed) use({door, dialog.id, sequence_, line, false, true, waits_, {}});
}

}  // namespace sipalg
