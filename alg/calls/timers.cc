// SPDX-License-Identifier: GPL-2.0-or-later
// What time ends (sip-rules section 6).
#include <algorithm>

#include "alg/calls/call_database.h"

namespace sipalg {
namespace {

constexpr std::chrono::milliseconds media_recheck = std::chrono::seconds{60};

void earlier(MaybeInstant& deadline, Instant other) {
  if (!deadline || other < *deadline) deadline = other;
}

}  // namespace

Instant CallDatabase::idle_deadline(const Leg& leg) const {
  auto idle = leg.is_held() ? idle_held_ : idle_;
  if (leg.session_interval != Leg::no_interval) idle = std::min(idle, leg.session_interval + limits::transaction_end);
  return leg.last_message + idle;
}

// When this leg is to be looked at next.
Instant CallDatabase::leg_deadline(const Leg& leg) const {
  MaybeInstant deadline = leg.ends;
  for (const MediaUse& use : leg.media)
    if (use.ends) earlier(deadline, *use.ends);
  if (!leg.ends) {
    if (leg.has_invite_usage()) earlier(deadline, std::max(idle_deadline(leg), leg.exceptions->recheck));
    for (const Dialog& dialog : leg.dialogs)
      if (dialog.subscribed_until) earlier(deadline, *dialog.subscribed_until);
    if (!leg.has_invite_usage() && !leg.is_subscribed()) earlier(deadline, leg.last_message + limits::transaction_end);
  }
  return *deadline;
}

std::optional<Instant> CallDatabase::ends_at(const Leg& leg) const {
  if (leg.ends) return *leg.ends;
  if (leg.has_invite_usage()) return idle_deadline(leg);
  return std::nullopt;
}

void CallDatabase::drop_ended_uses(Leg& leg, Instant now) {
  for (const MediaUse& use : leg.media)
    if (use.ends && *use.ends <= now) doors_.release(use.door, now);
  erase_if(leg.media, [now](const MediaUse& use) { return use.ends && *use.ends <= now; });
}

bool CallDatabase::media_lives(const Leg& leg) const {
  std::vector<DoorId> doors;
  for (const MediaUse& use : leg.media) doors.push_back(use.door);
  return doors_.has_flow(doors);
}

void CallDatabase::expire_idle(LegId id, Leg& leg, Instant now) {
  for (Dialog& dialog : leg.dialogs)
    if (dialog.subscribed_until && *dialog.subscribed_until <= now) dialog.subscribed_until.reset();
  if (leg.has_invite_usage()) {
    if (now < idle_deadline(leg)) return;
    if (!media_lives(leg)) return end_leg(id, now, false);
    leg.exceptions.write().recheck = now + media_recheck;
    return;
  }
  if (!leg.invites.empty() || leg.is_subscribed()) return;
  if (leg.is_confirmed() || now >= leg.last_message + limits::transaction_end) end_leg(id, now, false);
}

void CallDatabase::expire_leg(LegId id, Instant now) {
  Leg* leg = legs_.find(id);
  if (!leg || leg->scheduled > now) return;  // an entry that another overtook
  leg->scheduled = Instant::max();
  drop_ended_uses(*leg, now);
  if (leg->ends && *leg->ends <= now) {
    count_end(*leg, Event::calls_ended_by_message);  // challenged, and nobody came back
    return erase_leg(id, now);
  }
  if (!leg->ends) expire_idle(id, *leg, now);
  // an attempt that rings on ends with its transaction; this only looks again
  leg->scheduled = std::max(leg_deadline(*leg), now + std::chrono::seconds{leg->ends ? 1 : 10});
  for (const MediaUse& use : leg->media)
    if (use.ends) leg->scheduled = std::min(leg->scheduled, *use.ends);
  schedule(leg->scheduled, Kind::leg, id);
}

void CallDatabase::expire_transaction(TransactionId id, Instant now) {
  Transaction* t = transactions_.find(id);
  if (!t) return;
  if (t->ends > now) return schedule(t->ends, Kind::transaction, id);
  const LegId leg = t->leg;
  const bool answered = t->is_final();
  // Early media is a media packet after the last 1xx; that of a re-INVITE is its call's and says nothing of it.
  if (!answered && t->last_status != 0 && t->method == sip::Method::invite && t->dialog == 0) {
    const Leg* ringing = legs_.find(leg);
    if (ringing && media_lives(*ringing)) {
      t->ends = now + media_recheck;
      return schedule(t->ends, Kind::transaction, id);
    }
  }
  if (!answered) {
    stats_.count(Event::transactions_timed_out);
    give_up(*t, id, now);
  } else if (Leg* forked = legs_.find(leg); forked && t->method == sip::Method::invite) {
    // No 2xx of another branch comes any more (RFC 3261 section 13.2.2.4). Where the one that came brought no SDP, a branch is
    // a To tag that a careless server changed, and the media is the early dialog's.
    const auto answered_itself = [id](const Dialog& dialog) { return dialog.attempt == id && dialog.is_call() && dialog.has_sdp; };
    if (std::ranges::any_of(forked->dialogs, answered_itself)) end_early_dialogs(*forked, id, now);
  }
  if (Leg* open = legs_.find(leg); open && answered && t->dialog != 0) {
    give_up_offer(*open, t->offer, now);  // a 2xx without the answer that was due
    schedule_leg(leg);
  }
  erase_transaction(id, now);
}

// Nobody answers it any more: as if it had been refused.
void CallDatabase::give_up(Transaction& transaction, TransactionId id, Instant now) {
  const LegId leg = transaction.leg;
  refuse_offer(id, now);
  if (transaction.method == sip::Method::invite) attempt_ended(leg, id, false, now);
  if (transaction.method == sip::Method::bye) end_invite_usage(leg, transaction.dialog, now, false);  // RFC 3261 section 15.1.1
}

void CallDatabase::expire(const TimerWheel::Deadline& deadline, Instant now) {
  const auto kind = static_cast<Kind>(deadline.kind);
  if (kind == Kind::transaction) return expire_transaction(deadline.id, now);
  if (kind == Kind::leg) return expire_leg(deadline.id, now);
  Registration* r = registrations_.find(deadline.id);
  if (!r || r->scheduled > now) return;  // gone, or an entry that another overtook
  if (r->ends <= now) return end_registration(deadline.id, now, false);
  r->scheduled = r->ends;
  schedule(r->ends, Kind::registration, deadline.id);
}

void CallDatabase::tick(Instant now, std::size_t most) {
  TimerWheel::Deadline deadline;
  for (; most > 0 && timers_.take_due(now, deadline); --most) expire(deadline, now);
  doors_.flush();
}

// Whoever waits for doors has records in his hands: then those that have to go stay until the next one ends.
void CallDatabase::note_ended_transaction(TransactionId id, Instant now) {
  ended_transactions_.push(id);
  const auto has_ended = [this](TransactionId other) {
    const Transaction* t = transactions_.find(other);
    return t && t->is_final();
  };
  while (!doors_.is_waited_for()) {
    const TransactionId oldest = ended_transactions_.take_oldest(has_ended);
    if (oldest == 0 || oldest == id) return;
    transactions_.find(oldest)->ends = now;
    expire_transaction(oldest, now);
  }
}

void CallDatabase::note_ended_leg(LegId id, Instant now) {
  ended_legs_.push(id);
  const auto has_ended = [this](LegId other) {
    const Leg* leg = legs_.find(other);
    return leg && leg->ends;
  };
  while (!doors_.is_waited_for()) {
    const LegId oldest = ended_legs_.take_oldest(has_ended);
    if (oldest == 0 || oldest == id) return;
    count_end(*legs_.find(oldest), Event::calls_ended_by_message);  // challenged, and nobody came back
    erase_leg(oldest, now);
  }
}

std::size_t CallDatabase::clear_legs(std::optional<std::string_view> call_id, Instant now) {
  std::size_t cleared = 0;
  for (LegId id : legs_.ids()) {
    Leg& leg = *legs_.find(id);
    if (call_id ? leg.texts[Leg::call_id] != *call_id && escaped(leg.texts[Leg::call_id]) != *call_id : !leg.is_call) continue;
    count_end(leg, Event::calls_cleared);
    erase_leg(id, now);
    ++cleared;
  }
  for (TransactionId id : transactions_.ids()) {
    Transaction* t = transactions_.find(id);
    if (t->leg == 0 || legs_.find(t->leg)) continue;
    release_all(t->doors, now);
    t->leg = 0;
    t->cleared = true;
  }
  doors_.flush();
  return cleared;
}

std::size_t CallDatabase::clear_registrations(Instant now) {
  const auto ids = registrations_.ids();
  for (RegistrationId id : ids) end_registration(id, now, true);
  doors_.flush();
  return ids.size();
}

void CallDatabase::close_all(Instant now) {
  for (TransactionId id : transactions_.ids()) erase_transaction(id, now);
  for (LegId id : legs_.ids()) erase_leg(id, now);
  for (RegistrationId id : registrations_.ids()) end_registration(id, now, true);
  timers_.clear();
  doors_.flush();
}

}  // namespace sipalg
