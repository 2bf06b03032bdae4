// SPDX-License-Identifier: GPL-2.0-or-later
// Which doors an offer holds while it waits, when it is answered, and when it is refused (RFC 3264 section 8, sip-rules section 6).
//
// How it works
//   A use holds its door for one SDP. While an offer waits, its uses are its own: they stand beside those of the session, also
//   where both want the same door. Refused, they end; answered, they get the answer's number, and with it older ones of the
//   same line are replaced. So two offers at once, answered or refused in whatever order, touch nothing of each other.
#include <algorithm>

#include "alg/calls/call_database.h"

namespace sipalg {

void CallDatabase::take_offer(Leg& leg, Offer& offer, uint32_t answer) {
  if (offer.sdp == 0) return;
  for (MediaUse& use : leg.media) {
    if (use.sdp != offer.sdp || use.ends) continue;
    use.sdp = answer;
    use.waits = false;
  }
  offer.sdp = answer;
}

void CallDatabase::give_up_offer(Leg& leg, const Offer& offer, Instant now) {
  for (MediaUse& use : leg.media) {
    if (!use.waits || use.sdp != offer.sdp) continue;
    use.waits = false;
    use.ends = now + limits::transaction_end;
  }
}

// The old session stays as it was: only what the refused offer brought goes.
void CallDatabase::refuse_offer(TransactionId id, Instant now) {
  const Transaction& transaction = *transactions_.find(id);
  Leg* leg = legs_.find(transaction.leg);
  Dialog* dialog = leg && transaction.dialog != 0 ? leg->find_dialog(transaction.dialog) : nullptr;
  if (!dialog) return;
  give_up_offer(*leg, transaction.offer, now);
  if (transaction.is_prack_answer) {
    dialog->exceptions.write().late_answered = false;  // the next PRACK answers
  } else if (dialog->exceptions->late_invite == id && !dialog->exceptions->late_answered) {
    give_up_offer(*leg, dialog->exceptions->late_offer, now);
    dialog->exceptions.write().late_invite = 0;
  }
  schedule_leg(transaction.leg);
}

// A line that is off or held for the moment keeps its doors by not being replaced: it has no newer ones.
void CallDatabase::replace_older(Leg& leg, const Dialog& dialog, Instant now) {
  if (!dialog.is_call() || dialog.stands == 0) return;
  // the offer of the first INVITE is common to all branches that answered it
  const bool is_forked = std::ranges::count_if(leg.dialogs, &Dialog::is_call) > 1;
  const auto stands_here = [&](const MediaUse& use) {
    return !use.waits && !use.ends && (use.dialog == 0 ? !is_forked : use.dialog == dialog.id);
  };
  const auto is_renewed = [&](const MediaUse& old) {
    return std::ranges::any_of(leg.media, [&](const MediaUse& use) {
      return stands_here(use) && use.line == old.line && use.is_rtcp == old.is_rtcp && use.is_way_out == old.is_way_out &&
             use.sdp >= dialog.stands;
    });
  };
  for (MediaUse& use : leg.media) {
    if (!stands_here(use)) continue;
    const bool is_muxed = dialog.muxed && use.is_rtcp;
    if (is_muxed || (use.sdp < dialog.stands && is_renewed(use))) use.ends = now + limits::transaction_end;
  }
}

}  // namespace sipalg
