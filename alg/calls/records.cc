// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/records.h"

#include <algorithm>

namespace sipalg {

void Transaction::recycle() {
  constexpr std::size_t worth_keeping = 64, bytes_worth_keeping = 4096;  // what is larger belonged to something rare
  Transaction empty;
  const auto keep = [](auto& list, auto& into) {
    if (list.size() > worth_keeping) return;
    list.clear();
    into = std::move(list);
  };
  if (givens.bytes() <= bytes_worth_keeping) {
    givens.clear();
    empty.givens = std::move(givens);
  }
  keep(restored, empty.restored);
  keep(doors, empty.doors);
  keep(wishes, empty.wishes);
  keep(bodies, empty.bodies);
  keep(offer.said.remote, empty.offer.said.remote);
  keep(offer.said.streams, empty.offer.said.streams);
  *this = std::move(empty);
}

Dialog* Leg::find_dialog(TagId tag) {
  const auto it = std::ranges::find(dialogs, tag, &Dialog::id);
  return it == dialogs.end() ? nullptr : &*it;
}

bool Leg::is_confirmed() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.state == Dialog::State::confirmed; });
}

bool Leg::is_subscribed() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.subscribed_until.has_value(); });
}

bool Leg::has_invite_usage() const {
  return std::ranges::any_of(dialogs, &Dialog::is_call);
}

bool Leg::is_held() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.is_call() && d.session.held; });
}

}  // namespace sipalg
