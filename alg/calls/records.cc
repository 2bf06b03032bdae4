// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/records.h"

#include <algorithm>

namespace sipalg {

void remember(std::vector<Given>& list, const std::vector<Given>& message) {
  std::erase_if(list, [&](const Given& old) {
    return std::ranges::any_of(message, [&](const Given& fresh) {
      return old.field == fresh.field && old.given == fresh.given && old.user == fresh.user;
    });
  });
  list.insert(list.end(), message.begin(), message.end());
}

const Given* find_given(const std::vector<Given>& list, Field field, const Endpoint& endpoint, std::string_view user,
                        std::size_t nth) {
  const Given *mine = nullptr, *any = nullptr;
  for (const Given& known : list) {
    if (known.field != field || known.given != endpoint) continue;
    any = &known;
    if (known.user != user) continue;
    mine = &known;
    if (nth-- == 0) break;
  }
  return mine ? mine : any;
}

Dialog* Leg::find_dialog(std::string_view tag) {
  const auto it = std::ranges::find(dialogs, tag, &Dialog::tag);
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
