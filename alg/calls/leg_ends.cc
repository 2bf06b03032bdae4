// SPDX-License-Identifier: GPL-2.0-or-later
// Which part of a leg ends with which message, and how calls are counted (sip-rules sections 3, 4 and 6).
#include <algorithm>
#include <utility>

#include "alg/calls/call_database.h"

namespace sipalg {

void CallDatabase::begin_call(Leg& leg) {
  leg.is_call = true;
  if (std::exchange(leg.is_counted, true)) return;
  ++counted_calls_;
  stats_.count(Event::calls_begun);
}

void CallDatabase::revive(Leg& leg) {
  if (leg.ends) ended_legs_.gone();
  leg.ends.reset();
  leg.is_call = leg.is_counted;
}

void CallDatabase::count_end(Leg& leg, Event how) {
  if (!std::exchange(leg.is_counted, false)) return;
  --counted_calls_;
  stats_.count(how);
}

void CallDatabase::end_leg(LegId id, Instant now, bool by_message) {
  Leg* leg = legs_.find(id);
  if (!leg || leg->ends) return;
  count_end(*leg, by_message ? Event::calls_ended_by_message : Event::calls_ended_by_time);
  close_leg(id, *leg, now);
}

void CallDatabase::close_leg(LegId id, Leg& leg, Instant now) {
  end_media(leg, now);
  for (Dialog& dialog : leg.dialogs) {
    dialog.state = Dialog::State::ended;
    dialog.invite_usage = false;
    dialog.subscribed_until.reset();
  }
  leg.ends = now + limits::transaction_end;
  schedule_leg(id);
  note_ended_leg(id, now);
}

void CallDatabase::end_invite_usage(LegId id, TagId dialog_tag, Instant now, bool by_message) {
  Leg* leg = legs_.find(id);
  if (!leg || leg->ends) return;
  if (Dialog* dialog = leg->find_dialog(dialog_tag)) {
    dialog->invite_usage = false;
    dialog->hung_up = true;
    if (!dialog->subscribed_until) dialog->state = Dialog::State::ended;
  }
  erase_if(leg->invites, [&](TransactionId invite_id) {  // a re-INVITE of this dialog ends with it
    const Transaction* invite = transactions_.find(invite_id);
    return !invite || invite->dialog == dialog_tag;
  });
  if (leg->has_invite_usage() || !leg->invites.empty()) {
    end_uses(*leg, now, [&](const MediaUse& use) { return use.dialog == dialog_tag; });
    return;
  }
  if (!leg->is_subscribed()) return end_leg(id, now, by_message);
  end_media(*leg, now);
  count_end(*leg, by_message ? Event::calls_ended_by_message : Event::calls_ended_by_time);
  leg->is_call = false;
}

void CallDatabase::attempt_ended(LegId id, TransactionId invite, bool success, Instant now) {
  Leg* leg = legs_.find(id);
  if (!leg || erase(leg->invites, invite) == 0 || success) return;
  const bool is_last = leg->invites.empty() && !leg->has_invite_usage();
  const Transaction* t = transactions_.find(invite);
  if (is_last && !leg->is_subscribed()) {
    // a challenge is no end yet: the second INVITE comes at once, else the leg is counted when it goes
    if (t && (t->last_status == 401 || t->last_status == 407)) return close_leg(id, *leg, now);
    return end_leg(id, now, t && t->is_final());
  }
  end_early_dialogs(*leg, invite, now);
  const uint32_t offer = t && t->dialog == 0 ? t->offer.sdp : 0;
  end_uses(*leg, now, [&](const MediaUse& use) {  // an offer that several attempts made is also theirs
    return is_last || (offer != 0 && use.dialog == 0 && use.sdp == offer);
  });
  if (!is_last) return;
  count_end(*leg, t && t->is_final() ? Event::calls_ended_by_message : Event::calls_ended_by_time);
  leg->is_call = false;
  for (Dialog& dialog : leg->dialogs) {  // what is left of it is a subscription (RFC 5057)
    dialog.invite_usage = false;
    if (dialog.subscribed_until) dialog.state = Dialog::State::confirmed;
  }
}

void CallDatabase::end_early_dialogs(Leg& leg, TransactionId invite, Instant now) {
  for (Dialog& dialog : leg.dialogs) {
    if (dialog.attempt != invite || dialog.state != Dialog::State::early) continue;
    dialog.state = dialog.subscribed_until ? Dialog::State::confirmed : Dialog::State::ended;
    dialog.invite_usage = false;
    end_uses(leg, now, [&](const MediaUse& use) { return use.dialog == dialog.id; });
  }
}

template <typename Which> void CallDatabase::end_uses(Leg& leg, Instant now, Which&& which) {
  erase_if(leg.media, [&](const MediaUse& use) {
    if (!which(use)) return false;
    doors_.release(use.door, now);
    return true;
  });
}

void CallDatabase::end_media(Leg& leg, Instant now) {
  end_uses(leg, now, [](const MediaUse&) { return true; });
}

}  // namespace sipalg
