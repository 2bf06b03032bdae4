// SPDX-License-Identifier: GPL-2.0-or-later
// SDP in a message: mapped when it leaves, read when it comes; the leg's media follows the offer/answer (RFC 3264).
//
// How it works
//   Each SDP gets the next number of its leg (Leg::sequence) and marks every door it needs with it. An offer waits: its session
//   and its doors are its own until the answer comes, whatever other offer waits beside it; an answer makes both stand, and
//   doors whose mark is older are closed 64*T1 later; when an offer is refused, its own are (alg/calls/offers.cc).
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

// PRACK answers when the INVITE carried no offer and a 1xx did; the next one in that dialog offers (RFC 3262 section 5).
void Exchange::note_prack_answer() {
  if (message_.method != Method::prack || !message_.is_request || is_known_ || !transaction_) return;
  const Dialog* dialog = find_dialog();
  transaction_->is_prack_answer = dialog && dialog->exceptions->late_invite != 0 && !dialog->exceptions->late_answered;
}

void Exchange::handle_bodies() {
  if (message_.body.empty()) return;
  if (message_.is_unreadable(sip::Unreadable::content_type)) return fail_group(true, Reason::body_malformed);
  const sdp::Parts parts = sdp::find_parts(passage_.bytes, message_);
  const bool encoded = parts.opaque || (message_.has_auth_int && !parts.sdp.empty());
  if (encoded) return fail_group(true, Reason::body_encoded);
  if (parts.malformed) return fail_group(true, Reason::body_malformed);
  if (parts.sdp.empty()) return;
  if (!may_carry_sdp() || !leg_) return rules_.group_failed(Reason::body_not_for_doors);
  if (is_body_failed()) return leave_group(true);
  note_prack_answer();
  begin_body();
  for (const sdp::Part& part : parts.sdp) handle_body(part);
  if (transaction_ && message_.is_request) transaction_->request_had_sdp = true;
}

void Exchange::handle_body(const sdp::Part& part) {
  if (!sdp::scan(passage_.bytes, part.body, scratch_.session)) return fail_group(true, Reason::body_malformed);
  if (!body_is_copy_) count_media(scratch_.session, rooms_.stats);
  if (!passage_.out) return read_remote_body(part);
  Group group(rules_, passage_.now);
  map_body(part, group);
}

// The same SDP of the same party in the same place; a 2xx is no copy of a 1xx.
std::size_t Exchange::body_mark() const {
  const std::size_t place = message_.is_request ? message_.cseq : message_.status < 200 ? 1 : 2;
  return hash_text(passage_.text(message_.body), to_tag_ + place * 131);
}

// The ACK to a 2xx has no transaction: the leg remembers its last ones.
bool Exchange::is_body_failed() const {
  if (transaction_) return message_.is_request ? transaction_->body_failed : transaction_->response_body_failed;
  const CompactList<AckBody>& known = leg_->exceptions->ack_bodies;
  const auto same = std::ranges::find(known, body_mark(), &AckBody::mark);
  return same != known.end() && same->failed;
}

void Exchange::mark_body_failed() {
  if (transaction_) {
    (message_.is_request ? transaction_->body_failed : transaction_->response_body_failed) = true;
  } else if (!leg_->exceptions->ack_bodies.empty()) {
    leg_->exceptions.write().ack_bodies.back().failed = true;
  }
}

void Exchange::begin_body() {
  constexpr std::size_t kept = 16;  // an ACK is repeated for 64*T1
  const std::size_t mark = body_mark();
  if (!transaction_) {
    CompactList<AckBody>& known = leg_->exceptions.write().ack_bodies;
    body_is_copy_ = std::ranges::find(known, mark, &AckBody::mark) != known.end();
    if (body_is_copy_) return;
    if (known.size() == kept) known.erase(known.begin());
    known.push_back(AckBody{mark, false});
    return;
  }
  CompactList<std::size_t>& known = transaction_->bodies;
  body_is_copy_ = std::ranges::find(known, mark) != known.end();
  if (!body_is_copy_ && known.size() < limits::bodies_per_transaction) known.push_back(mark);
}

// A part of a multipart body may count its own bytes.
void Exchange::follow_growth(const sdp::Part& part, Group& group) {
  const long growth = scratch_.edits.growth(part.body.begin, part.body.end);
  if (part.content_length.is_set() && growth != 0)
    group.edit(part.content_length, Field::content_length, std::to_string(static_cast<long>(part.body.size()) + growth));
}

void Exchange::map_body(const sdp::Part& part, Group& group) {
  const bool is_late = changes_nothing();
  SdpMap map(rules_, passage_, group, scratch_.session, {leg_->media.begin(), leg_->media.end()}, is_answer(), is_late);
  map.run();
  follow_growth(part, group);
  if (is_late && !group.failed()) return group.release_doors();  // nothing comes back
  if (!group.commit()) {
    fail_group(true, group.reason());
    mark_body_failed();
    return follow_inside_sdp({});  // it leaves all the same: a hold is one, an answer answers
  }
  follow_inside_sdp({map.uses.data(), map.uses.size()});
}

// A copy, or a message of a call, an early dialog or an attempt that is over: mapped to what it was, or would have been.
bool Exchange::changes_nothing() const {
  if (body_is_copy_ || leg_->ends || repeats_older()) return true;
  if (!message_.is_request && message_.status < 200 && transaction_ && transaction_->is_final()) return true;
  const Dialog* dialog = find_dialog();
  if (!dialog || dialog->state != Dialog::State::ended) return false;
  const bool begins_again = message_.is_request && message_.method == Method::invite && !is_known_;  // time ended it, its parties did not
  return dialog->hung_up || !begins_again;
}

void Exchange::read_remote_body(const sdp::Part& part) {
  {
    Group group(rules_, passage_.now);
    restore_remote_candidates(rules_, group, scratch_.session, *leg_);
    follow_growth(part, group);
    if (!group.commit()) fail_group(true, group.reason());
  }
  if (changes_nothing()) return;
  const bool begins_attempt = message_.is_request && !is_in_dialog();
  const Dialog* dialog = begins_attempt ? nullptr : add_dialog();
  if (dialog ? dialog->hung_up : !begins_attempt) return;
  begin_sdp();
  const MediaSession* said = note_sdp();
  if (!dialog || !said) return;
  open_ways_out(*dialog, *said);
  const bool muxed = std::ranges::all_of(scratch_.session.media, [](const sdp::Media& m) { return m.port_number == 0 || m.rtcp_mux; });
  settle(muxed && !scratch_.session.media.empty());
}

}  // namespace sipalg
