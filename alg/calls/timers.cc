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
  return Instant(leg.last_message) + idle;
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
    if (!leg.has_invite_usage() && !leg.is_subscribed()) earlier(deadline, Instant(leg.last_message) + limits::transaction_end);
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
  if (leg.is_confirmed() || now >= Instant(leg.last_message) + limits::transaction_end) end_leg(id, now, false);
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

// A transaction has one entry, which is never later than its end: one that waits for its final response is looked at again in
// the time it would live on after that. So a response needs no second entry; there would be millions of both.
void CallDatabase::schedule_transaction(TransactionId id, const Transaction& t, Instant now) {
  const std::chrono::milliseconds linger = t.method == sip::Method::invite ? limits::transaction_end : limits::response_linger;
  schedule(t.is_final() ? t.ends : std::min(t.ends, now + linger), Kind::transaction, id);
}

void CallDatabase::expire_transaction(TransactionId id, Instant now) {
  Transaction* t = transactions_.find(id);
  if (!t) return;
  if (t->ends > now) return schedule_transaction(id, *t, now);
  const LegId leg = t->leg;
  const bool answered = t->is_final();
  // Early media is a media packet after the last 1xx; that of a re-INVITE is its call's and says nothing of it.
  if (!answered && t->last_status != 0 && t->method == sip::Method::invite && t->dialog == 0) {
    const Leg* ringing = legs_.find(leg);
    if (ringing && media_lives(*ringing)) {
      t->ends = now + media_recheck;
      return schedule_transaction(id, *t, now);
    }
  }
  if (!answered) {
    stats_.count(Event::transactions_timed_out);
    give_up(*t, id, now);
  } else if (t->method == sip::Method::invite) {
    attempt_ended(leg, id, true, now);
    if (Leg* forked = legs_.find(leg)) end_unanswered_branches(*forked, id, now);
  }
  if (answered && t->dialog != 0 && t->offer.sdp != 0) {  // most have none, and their leg has left the processor's cache by now
    if (Leg* open = legs_.find(leg)) {
      give_up_offer(*open, t->offer, now);  // a 2xx without the answer that was due
      schedule_leg(leg);
    }
  }
  erase_transaction(id, now);
}

// No 2xx of another branch comes any more (RFC 3261 section 13.2.2.4). Where the one that came brought no SDP, a branch is a To
// tag that a careless server changed, and the media is the early dialog's.
void CallDatabase::end_unanswered_branches(Leg& leg, TransactionId invite, Instant now) {
  const auto answered_itself = [invite](const Dialog& dialog) { return dialog.attempt == invite && dialog.is_call() && dialog.has_sdp; };
  if (std::ranges::any_of(leg.dialogs, answered_itself)) end_early_dialogs(leg, invite, now);
}

// Nobody answers it any more: as if it had been refused.
void CallDatabase::give_up(Transaction& transaction, TransactionId id, Instant now) {
  const LegId leg = transaction.leg;
  refuse_offer(id, now);
  if (transaction.method == sip::Method::invite) attempt_ended(leg, id, false, now);
  if (transaction.method == sip::Method::bye) end_invite_usage(leg, transaction.dialog, now, false);  // RFC 3261 section 15.1.1
}

void CallDatabase::expire(const TimerWheel::Deadline& deadline, Instant now) {
  static_cast<Kind>(deadline.kind) == Kind::transaction ? expire_transaction(deadline.id, now) : expire_leg(deadline.id, now);
}

void CallDatabase::tick(Instant now, std::size_t most) {
  TimerWheel::Deadline deadline;
  for (; most > 0 && timers_.take_due(now, deadline); --most) expire(deadline, now);
}

// What goes has not been looked at since thousands of others ended: the record is asked for some turns before, then what it holds.
void CallDatabase::prefetch_ended() const {
  constexpr std::size_t turns = 2;
  const TransactionId far = ended_transactions_.soon(2 * turns);
  if (far == 0) return;  // nothing has to go
  transactions_.prefetch(far);
  const Transaction* t = transactions_.find(ended_transactions_.soon(turns));
  if (!t) return;
  t->prefetch_lists();
  by_key_.prefetch(t->key.low);
}

// Whoever waits for doors has records in his hands: then those that have to go stay until the next one ends.
void CallDatabase::note_ended_transaction(TransactionId id, Instant now) {
  prefetch_ended();
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
  return cleared;
}

void CallDatabase::close_all(Instant now) {
  for (TransactionId id : transactions_.ids()) erase_transaction(id, now);
  for (LegId id : legs_.ids()) erase_leg(id, now);
  timers_.clear();
}

}  // namespace sipalg
