// SPDX-License-Identifier: GPL-2.0-or-later
// The four scripts, and finding what a message belongs to.
#include "alg/engine/exchange.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "alg/rewrite/host_port.h"

namespace sipalg {
namespace {

using sip::Method;

bool begins_dialog(Method method) {
  return method == Method::invite || method == Method::subscribe || method == Method::refer;
}

constexpr std::string_view magic_cookie = "z9hG4bK";  // RFC 3261 section 8.1.1.7

}  // namespace

Exchange::Exchange(EngineRooms& rooms, Scratch& scratch, const Passage& passage, Trace* trace)
    : rooms_(rooms), scratch_(scratch), passage_(passage), message_(passage.message),
      rules_{rooms.policy, rooms.doors, rooms.registrations, rooms.learned, rooms.stats, scratch.edits, scratch.opened, scratch.failed, trace ? &trace->notes : nullptr},
      trace_(trace), from_tag_(rooms.calls.tag_id(passage.text(message_.from.tag))),
      to_tag_(rooms.calls.tag_id(passage.text(message_.to.tag))), opened_before_(scratch.opened.size()) {
  if (!message_.is_request) return;
  call_ = call_key();
  rooms.calls.prefetch_place(call_);
}

Reason Exchange::run(const SipDatagram& datagram) {
  const Reason reason = follow();
  if (is_rescheduled_) rooms_.calls.schedule_leg(leg_id_);
  if (!fix_content_length()) undo_edits(Reason::too_many_edits);
  if (const Reason kept = may_leave(datagram); kept != Reason::edited) undo_edits(kept);
  return failure_ == Reason::edited ? reason : failure_;
}

// Whether the way out takes it as it is now.
Reason Exchange::may_leave(const SipDatagram& datagram) const {
  if (scratch_.edits.empty()) return Reason::edited;
  const long growth = scratch_.edits.growth(0, static_cast<uint32_t>(passage_.bytes.size()));
  const auto size = static_cast<std::size_t>(static_cast<long>(passage_.bytes.size()) + growth);
  if (growth > 0 && size > datagram.most_bytes) return Reason::too_big;
  return datagram.may_become != nullptr ? (*datagram.may_become)(size) : Reason::edited;
}

// The body's growth is the last edit of all.
bool Exchange::fix_content_length() {
  if (!message_.content_length_number) return true;
  const long growth = scratch_.edits.growth(message_.body.begin, message_.body.end);
  if (growth == 0) return true;
  const long length = static_cast<long>(message_.body.size()) + growth;
  return scratch_.edits.add(message_.content_length, Field::content_length, std::to_string(length));
}

// Both groups fall, and stay fallen for the transaction; the doors that only this message opened are closed again.
void Exchange::undo_edits(Reason reason) {
  scratch_.edits.clear();
  fail_group(false, reason);
  if (passage_.out) {
    const std::vector<DoorId> fresh(scratch_.opened.begin() + static_cast<long>(opened_before_), scratch_.opened.end());
    for (DoorId door : fresh) rooms_.calls.disown(door, transaction_, leg_, passage_.now);
  }
  if (!transaction_) return;
  if (message_.is_request) {
    for (RegistrationWish& wish : transaction_->wishes) rooms_.calls.release_all(wish.doors, passage_.now);
    transaction_->wishes.clear();
  }
  (message_.is_request ? transaction_->header_failed : transaction_->response_header_failed) = true;
  (message_.is_request ? transaction_->body_failed : transaction_->response_body_failed) = true;
}

Reason Exchange::follow() {
  if (message_.is_request) return passage_.out ? request_out() : request_in();
  return passage_.out ? response_out() : response_in();
}

CallDatabase::CallKey Exchange::call_key() const {
  return rooms_.calls.call_key(passage_.text(message_.call_id), passage_.me.inside.address);
}

TransactionKey Exchange::key(bool outgoing) const {
  const sip::Via& via = message_.vias.front();
  const Address& host = passage_.me.inside.address;
  std::array<char, 22> numbers{static_cast<char>(outgoing), static_cast<char>(host.family())};
  std::memcpy(&numbers[2], &message_.cseq, sizeof message_.cseq);
  std::ranges::copy(host.bytes(), &numbers[6]);
  const std::string_view fixed(numbers.data(), numbers.size()), call_id = passage_.text(message_.call_id), branch = passage_.text(via.branch);
  if (branch.starts_with(magic_cookie)) return rooms_.calls.key_of({call_id, branch, fixed});
  // sent-by as our side sees it: it is edited going out
  const std::string_view sent_by = outgoing ? std::string_view() : passage_.text(via.sent_by.whole());
  return rooms_.calls.key_of({call_id, branch, fixed, passage_.text(message_.from.tag), sent_by});
}

bool Exchange::belongs_to_record() const {
  const CallDatabase& calls = rooms_.calls;
  if (calls.find_transaction_id(key(message_.is_request == passage_.out)) != 0) return true;
  if (!message_.is_request) return false;
  if (message_.method != Method::registration)
    return calls.find_leg(call_, inside_tag(), outside_tag()) != 0;
  std::vector<Address> hosts{passage_.me.inside.address};
  for (const sip::NameAddr& contact : message_.contacts)
    if (const auto endpoint = endpoint_of(contact.uri)) hosts.push_back(endpoint->address);
  return rooms_.registrations.has(passage_.text(message_.to.uri.whole), passage_.peer.address, hosts);
}

bool Exchange::find_or_begin(bool outgoing) {
  const TransactionKey wanted = key(outgoing);
  if (message_.is_request) rooms_.calls.prefetch_leg(call_);
  transaction_id_ = rooms_.calls.find_transaction_id(wanted);
  transaction_ = rooms_.calls.transaction(transaction_id_);
  // the ACK to a 2xx is none of its INVITE's transaction, though it has no other branch (RFC 2543, and careless callers)
  if (transaction_ && message_.is_request && message_.method == Method::ack && transaction_->last_status / 100 == 2) {
    transaction_id_ = 0;
    transaction_ = nullptr;
  }
  is_known_ = transaction_ != nullptr;
  if (is_known_ || !message_.is_request || message_.method == Method::ack || message_.method == Method::cancel)
    return is_known_;
  transaction_id_ = rooms_.calls.begin_transaction(wanted, passage_.me, passage_.now);
  transaction_ = rooms_.calls.transaction(transaction_id_);
  if (!transaction_) return false;
  transaction_->cseq = message_.cseq;
  transaction_->outgoing = outgoing;
  transaction_->method = message_.method;
  transaction_->protocol = passage_.protocol;
  transaction_->remote = passage_.peer;
  transaction_->expires_header = message_.expires;
  transaction_->routes_came = outgoing ? uint8_t{0} : static_cast<uint8_t>(message_.record_routes.size());
  return true;
}

void Exchange::find_leg() {
  leg_id_ = transaction_ && transaction_->leg != 0 ? transaction_->leg : 0;
  leg_ = rooms_.calls.leg(leg_id_);
  if (!leg_) {
    leg_id_ = rooms_.calls.find_leg(message_.is_request ? call_ : call_key(), inside_tag(), outside_tag());
    leg_ = rooms_.calls.leg(leg_id_);
  }
  if (!leg_ && message_.is_request && !(transaction_ && transaction_->cleared)) begin_leg();
  note_routing();
  if (!leg_ || !transaction_) return;
  transaction_->leg = leg_id_;
  if (message_.is_request && transaction_->dialog == 0) transaction_->dialog = dialog_tag();
}

// A 2xx to UPDATE or PRACK has no Record-Route, but comes through the same proxy (RFC 3261 table 2).
void Exchange::note_routing() {
  if (!leg_) return;
  if (passage_.out && is_record_routing(rules_, passage_)) leg_->routed = true;
  rules_.sender_routes = leg_->routed;
}

// An in-dialog request of a dialog we do not know (started late) is learnt with both tags.
void Exchange::begin_leg() {
  const bool learnt = is_in_dialog();
  const Method method = message_.method;
  if (!begins_dialog(method) && !(learnt && (method == Method::update || method == Method::prack))) return;
  const std::string from = escaped(passage_.text(message_.from.uri.whole).substr(0, limits::shown_uri_bytes));
  const std::string to = escaped(passage_.text(message_.to.uri.whole).substr(0, limits::shown_uri_bytes));
  Leg leg;
  leg.texts = PackedTexts({passage_.text(message_.call_id), passage_.text(message_.from.tag), from, to});
  leg.beginner = from_tag_;
  leg.outgoing = passage_.out;
  leg.learnt = learnt;
  const FlowPorts ports{passage_.me.inside.port, passage_.me.outside.port, passage_.peer.port};
  const LegPath path{passage_.me.inside.address, passage_.protocol, ports, passage_.zone, {}, {}};
  if (learnt) {
    Dialog* dialog = rooms_.calls.add_dialog(leg, passage_.text(message_.to.tag));
    dialog->state = Dialog::State::confirmed;
    dialog->invite_usage = method != Method::subscribe && method != Method::refer;
  }
  leg_id_ = rooms_.calls.begin_leg(std::move(leg), path, passage_.now);
  leg_ = rooms_.calls.leg(leg_id_);
  if (leg_ && leg_->has_invite_usage()) rooms_.calls.begin_call(*leg_);
  is_rescheduled_ = true;
}

// The tag of the party that did not begin the leg.
TagId Exchange::dialog_tag() const {
  if (!leg_) return 0;
  return leg_->outgoing ? outside_tag() : inside_tag();
}

Dialog* Exchange::add_dialog() {
  const Span tag = dialog_tag() == from_tag_ ? message_.from.tag : message_.to.tag;
  return rooms_.calls.add_dialog(*leg_, passage_.text(tag));
}

void Exchange::note_leg_message() {
  if (!leg_) return;
  rooms_.calls.touch(*leg_, passage_.now);
  if (!message_.is_request) return;
  if (message_.method == Method::prack) rooms_.calls.prolong_ringing(*leg_, passage_.now);
  if (leg_->ends && !is_known_ && (message_.method == Method::subscribe || message_.method == Method::refer)) {
    leg_->ends = passage_.now + 2 * limits::transaction_end;  // a 2xx that comes late revives it
    is_rescheduled_ = true;
  }
  if (message_.method != Method::invite || is_known_ || !transaction_) return;
  if (leg_->ends) rooms_.calls.revive(*leg_);
  rooms_.calls.begin_call(*leg_);
  leg_->invites.push_back(transaction_id_);
  is_rescheduled_ = true;
}

bool Exchange::copies_invite() const { return message_.method == Method::ack || message_.method == Method::cancel; }

// The ACK to a 2xx is a transaction of its own, but belongs to its INVITE.
bool Exchange::is_untouched() const {
  if (transaction_) return transaction_->header_failed;
  if (!leg_ || message_.method != Method::ack) return false;
  const UntouchedInvite wanted{message_.cseq, passage_.out};
  const Dialog* dialog = find_dialog();
  if (dialog && std::ranges::count(dialog->exceptions->untouched_invites, wanted) > 0) return true;
  return std::ranges::any_of(leg_->invites, [&](TransactionId id) {  // its 2xx took another way
    const Transaction* invite = rooms_.calls.transaction(id);
    return invite && invite->outgoing == passage_.out && invite->cseq == message_.cseq && invite->header_failed;
  });
}

Reason Exchange::find_request() {
  if (!find_or_begin(passage_.out) && !copies_invite()) {
    fail_group(false, Reason::table_full);
    return failure_;
  }
  if (is_known_ && !copies_invite()) rooms_.stats.count(Event::retransmissions);
  if (is_known_ && message_.method == Method::invite) rooms_.stats.count(Event::retransmitted_invites);
  find_leg();
  if (!transaction_ && !leg_) return Reason::no_record;
  note_leg_message();
  return Reason::edited;
}

Reason Exchange::request_out() {
  if (const Reason reason = find_request(); reason != Reason::edited) return reason;
  if (is_untouched()) {
    leave_group(false);
  } else {
    map_request_headers(!copies_invite());
  }
  handle_bodies();
  if (leg_) {
    meet_destination();
    join_peers();
  }
  if (message_.method == Method::notify) heard_notify();
  return failure_;
}

Reason Exchange::response_in() {
  find_or_begin(true);
  if (transaction_) find_leg();
  note_leg_message();
  if (transaction_ && transaction_->header_failed) {
    leave_group(false);
  } else {
    restore_response_headers();
  }
  if (!transaction_) return failure_ == Reason::edited && scratch_.edits.empty() ? Reason::no_record : failure_;
  heard_response();
  handle_bodies();
  meet_peers();
  return failure_;
}

Reason Exchange::request_in() {
  if (const Reason reason = find_request(); reason != Reason::edited) return reason;
  if (is_untouched()) {
    leave_group(false);
  } else {
    restore_request_headers();
  }
  if (!copies_invite()) way_out_for_via();
  handle_bodies();
  meet_peers();
  if (message_.method == Method::refer && !message_.is_unreadable(sip::Unreadable::refer_to)) way_to_target(message_.refer_to.uri);
  if (message_.method == Method::notify) heard_notify();
  return failure_;
}

Reason Exchange::response_out() {
  find_or_begin(false);
  if (!transaction_) return Reason::no_record;
  rules_.own_routes = message_.record_routes.size() - std::min<std::size_t>(message_.record_routes.size(), transaction_->routes_came);
  find_leg();
  note_leg_message();
  if (transaction_->header_failed || transaction_->response_header_failed) {
    leave_group(false);
  } else {
    map_response_headers();
  }
  heard_response();
  handle_bodies();
  if (leg_) join_peers();
  return failure_;
}

void Exchange::fail_group(bool is_body, Reason reason) {
  rooms_.stats.count(is_body ? Event::body_group_failed : Event::header_group_failed);
  rules_.group_failed(reason);
  failure_ = reason;
  if (trace_) trace_->failed_groups.push_back({is_body, reason});
}

// As the first message of its transaction was.
void Exchange::leave_group(bool is_body) {
  failure_ = Reason::transaction_untouched;
  if (trace_) trace_->failed_groups.push_back({is_body, failure_});
}

bool open_or_release(Rules& rules, AnySmallList<DoorId>& doors, Instant now, DoorId sibling) {
  if (rules.doors.open({doors.data(), doors.size()}, rules.opened, sibling)) return true;
  for (DoorId door : doors) rules.doors.release(door, now);
  doors.clear();
  return false;
}

}  // namespace sipalg
