// SPDX-License-Identifier: GPL-2.0-or-later
// What a message begins, confirms and ends (sip-rules sections 3, 4 and 6).
#include <algorithm>
#include <array>
#include <utility>

#include "alg/engine/exchange.h"
#include "alg/rewrite/host_port.h"

namespace sipalg {

using sip::Method;

// Of a SUBSCRIBE within its dialog, or of a NOTIFY (RFC 6665 sections 4.1.2.2 and 4.2.2).
static bool ends_subscription(uint16_t status) {
  static constexpr std::array ends{404, 405, 410, 416, 489, 501, 604};
  return (status >= 480 && status <= 485) || std::ranges::find(ends, status) != ends.end();
}

void Exchange::heard_response() {
  if (!transaction_ || message_.method != transaction_->method) return;  // a 200 to CANCEL says nothing of the INVITE
  const bool is_copy = transaction_->is_final();
  rooms_.calls.heard_response(transaction_id_, message_.status, passage_.now);
  const bool is_final = message_.status >= 200;
  switch (message_.method) {
    case Method::invite: return heard_invite_response(is_copy);
    case Method::subscribe:
    case Method::refer: return is_final && !is_copy ? heard_subscription_response() : void();
    case Method::registration: return is_final && !is_copy && !passage_.out ? heard_register_response() : void();
    case Method::notify: return leg_ && !is_copy && ends_subscription(message_.status) ? end_subscription() : void();
    case Method::bye: return is_final && !is_copy ? heard_bye_response() : void();
    case Method::update:
    case Method::prack:
      if (message_.status >= 300) rooms_.calls.refuse_offer(transaction_id_, passage_.now);
      if (leg_ && message_.method == Method::update && is_final && message_.status < 300) note_session_interval();
      return;
    default: return;
  }
}

// As negotiated in the last 2xx: none there, none any more (RFC 4028 section 7.2).
void Exchange::note_session_interval() {
  leg_->session_interval = message_.session_expires ? Leg::Seconds{*message_.session_expires} : Leg::no_interval;
  is_rescheduled_ = true;
}

void Exchange::note_untouched_invite(Dialog& dialog) {
  constexpr std::size_t kept = 16;  // an ACK is repeated for 64*T1
  CompactList<UntouchedInvite>& known = dialog.exceptions.write().untouched_invites;
  const UntouchedInvite invite{message_.cseq, transaction_->outgoing};
  if (std::ranges::find(known, invite) != known.end()) return;
  if (known.size() == kept) known.erase(known.begin());
  known.push_back(invite);
}

// The response of another INVITE than the one that began it: it was never confirmed, or hung up, and its tag is used again.
bool Exchange::begins_anew(const Dialog& dialog) const {
  if (dialog.attempt == transaction_id_) return false;
  return dialog.hung_up ? transaction_->dialog == 0 : dialog.state != Dialog::State::confirmed;
}

void Exchange::begin_dialog(Dialog& dialog) {
  Dialog fresh;
  fresh.id = dialog.id;
  fresh.subscribed_until = dialog.subscribed_until;
  fresh.attempt = transaction_id_;
  fresh.session = transaction_->offer.said;
  fresh.untouched = transaction_->header_failed;
  dialog = std::move(fresh);
}

void Exchange::heard_invite_response(bool is_copy) {
  if (!leg_) return;
  const uint16_t status = message_.status;
  if (status > 100 && status < 300) heard_dialog(is_copy);
  if (status < 200) return;
  if (status >= 300 && transaction_->dialog != 0) rooms_.calls.refuse_offer(transaction_id_, passage_.now);
  rooms_.calls.attempt_ended(leg_id_, transaction_id_, status < 300, passage_.now);
  is_rescheduled_ = true;
}

// A 1xx without a To tag is of no dialog; a 2xx without one is of a dialog whose tag is null (RFC 3261 section 12.1.2).
void Exchange::heard_dialog(bool is_copy) {
  const uint16_t status = message_.status;
  if (status < 200 && !message_.to.tag.is_set()) return;
  Dialog* dialog = add_dialog();
  const bool is_open = leg_->invites.contains(transaction_id_);
  if (!dialog || (status < 200 && (leg_->ends || !is_open))) return;
  if (begins_anew(*dialog)) {
    if (is_copy && dialog->attempt != 0) return;  // of a call before
    begin_dialog(*dialog);
  }
  if (status >= 200 && transaction_->header_failed) note_untouched_invite(*dialog);
  if (dialog->hung_up) return;
  dialog->invite_usage = true;
  if (status < 200) return;
  dialog->state = Dialog::State::confirmed;
  if (leg_->ends) rooms_.calls.revive(*leg_);  // 2xx may follow 2xx
  rooms_.calls.begin_call(*leg_);
  take_early_answer(*dialog);
  rooms_.calls.replace_older(*leg_, *dialog, passage_.now);  // by offers that were answered while it was early
  note_session_interval();
}

void Exchange::heard_subscription_response() {
  if (!leg_) return;
  if (message_.status >= 300) {
    if (ends_subscription(message_.status) && transaction_->dialog != 0) return end_subscription();
    if (!leg_->is_confirmed() && leg_->invites.empty() && !leg_->is_subscribed()) rooms_.calls.end_leg(leg_id_, passage_.now, true);
    return;
  }
  Dialog* dialog = add_dialog();
  if (!dialog) return;
  const uint32_t seconds = message_.expires.value_or(transaction_->expires_header.value_or(180));
  if (leg_->ends && seconds > 0) rooms_.calls.revive(*leg_);  // asked for anew, or its NOTIFY was faster
  confirm_subscription(*dialog);
  if (transaction_->dialog == 0) dialog->untouched = transaction_->header_failed;
  dialog->subscribed_until = passage_.now + std::min(std::chrono::seconds{seconds}, limits::subscription_longest);  // its leg lingers 64*T1 longer
  is_rescheduled_ = true;
}

// Inside a dialog that an INVITE has begun and not yet confirmed (KPML of RFC 4730, `Event: talk`) a subscription confirms
// nothing: the INVITE's own end still closes its media.
void Exchange::confirm_subscription(Dialog& dialog) {
  if (leg_->invites.empty()) dialog.state = Dialog::State::confirmed;
}

// How long a NOTIFY's subscription lasts; nothing: it says nothing new. Without `expires` what was granted before goes on
// (RFC 6665 section 4.1.3); a NOTIFY of a call that nobody subscribed in (`Event: talk`) begins nothing.
std::optional<std::chrono::seconds> Exchange::notified_time() const {
  const std::string_view state = passage_.text(message_.subscription_state);
  if (const std::size_t at = state.find("expires="); at != std::string_view::npos) {
    const std::string_view rest = state.substr(at + 8);
    if (const auto seconds = parse_number(rest.substr(0, rest.find_first_not_of("0123456789")))) return std::chrono::seconds{*seconds};
  }
  if (leg_->is_subscribed() || leg_->has_invite_usage() || !leg_->invites.empty()) return std::nullopt;
  return std::chrono::seconds{180};  // it may precede the 2xx of SUBSCRIBE
}

// Subscription-State: active;expires=60 / terminated (RFC 6665 section 4.1.3).
void Exchange::heard_notify() {
  if (!leg_ || is_known_ || !message_.subscription_state.is_set()) return;
  if (equals_ignoring_case(passage_.text(message_.subscription_state).substr(0, 10), "terminated")) return end_subscription();
  const auto lasts = notified_time();
  if (!lasts || leg_->ends) return;
  Dialog* dialog = add_dialog();
  if (!dialog) return;
  confirm_subscription(*dialog);
  dialog->subscribed_until = passage_.now + std::min(*lasts, limits::subscription_longest);
  is_rescheduled_ = true;
}

// Seconds; 0: this Contact is not registered (any more). The user part tells bindings of one endpoint apart; where no binding
// has it, the longest of the endpoint counts.
uint32_t Exchange::granted_to(const RegistrationWish& wish) const {
  const uint32_t asked = message_.expires.value_or(wish.asked.value_or(limits::registration_default.count()));
  if (wish.asked == 0U) return 0;
  if (message_.contacts.empty()) return asked;
  uint32_t same_user = 0, same_endpoint = 0;
  bool is_listed = false;
  for (const sip::NameAddr& contact : message_.contacts) {
    const uint32_t lasts = contact.expires.value_or(asked);
    if (!wish.is_path && endpoint_of(contact.uri) != wish.given) continue;  // a Path lasts as long as any binding
    is_listed = true;
    same_endpoint = std::max(same_endpoint, lasts);
    if (passage_.text(contact.uri.user) == wish.user && contact.uri.transport == wish.transport) same_user = std::max(same_user, lasts);
  }
  // Behind what was read it may still stand; and some registrars list a binding as they see it, not as it was named.
  if (!is_listed) return asked;
  return same_user != 0 ? same_user : same_endpoint;
}

// For so many seconds, by the flow of the REGISTER.
Registration Exchange::granted_registration(uint32_t seconds) const {
  Registration registration;
  registration.registrar = transaction_->remote.address;
  registration.protocol = transaction_->protocol;
  registration.source = transaction_->source;
  registration.remote = transaction_->remote;
  const auto lasts = std::min<std::chrono::milliseconds>(std::chrono::seconds{seconds}, limits::registration_longest);
  registration.ends = passage_.now + lasts + limits::transaction_end;
  return registration;
}

void Exchange::register_wish(RegistrationWish& wish, uint32_t granted) {
  Registration registration = granted_registration(granted);
  registration.aor = wish.aor;
  registration.user = wish.user;
  registration.transport = wish.transport;
  registration.inside = wish.inside;
  registration.outside = wish.given;
  registration.contact_text = wish.before;
  for (const Given given : transaction_->givens) {
    if (given.field == Field::path || (given.field == Field::contact && !wish.is_path && given.user == wish.user))
      registration.givens.add(given);
  }
  for (DoorId id : wish.doors) {
    const Doors::Contact known = rooms_.doors.contact_of(id);
    if (known.text.empty()) rooms_.doors.note_contact(id, {wish.before, known.user});
  }
  registration.doors = std::exchange(wish.doors, {});
  rooms_.registrations.add(std::move(registration), passage_.now);
}

void Exchange::heard_register_response() {
  const bool accepted = message_.status < 300;
  const Address registrar = transaction_->remote.address;
  if (accepted && transaction_->removes_all)
    rooms_.registrations.end_all(passage_.text(message_.to.uri.whole), passage_.me.inside.address, registrar, passage_.now);
  for (RegistrationWish& wish : transaction_->wishes) {
    const uint32_t granted = accepted ? granted_to(wish) : 0;
    if (granted == 0) {
      rooms_.calls.release_all(wish.doors, passage_.now);
      if (accepted)
        rooms_.registrations.end(wish.aor, wish.user, wish.transport, wish.inside, registrar, passage_.now);
    } else {
      // The registrar knows the Contact by now: a refused door stays reserved, what comes for it finds its text, and the
      // next refresh asks the kernel again. Each scope for itself.
      for (const DoorId& door : wish.doors) (void)rooms_.doors.open({&door, 1}, scratch_.opened);
      register_wish(wish, granted);
    }
  }
  transaction_->wishes.clear();
}

// The leg ends with its last usage (RFC 5057). A 2xx to SUBSCRIBE or REFER that follows revives it.
void Exchange::end_subscription() {
  Dialog* dialog = find_dialog();
  if (dialog) dialog->subscribed_until.reset();
  if (!dialog || leg_->ends || leg_->has_invite_usage() || !leg_->invites.empty() || leg_->is_subscribed()) return;
  rooms_.calls.end_leg(leg_id_, passage_.now, true);
}

void Exchange::heard_bye_response() {
  if (message_.status == 401 || message_.status == 407) return;
  rooms_.calls.end_invite_usage(leg_id_, transaction_->dialog, passage_.now, true);
}

}  // namespace sipalg
