// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/records.h"

#include <algorithm>

namespace sipalg {

void remember(std::vector<Given>& list, Given given) {
  for (Given& known : list) {
    if (known.field != given.field || known.given != given.given) continue;
    known.before = std::move(given.before);
    return;
  }
  list.push_back(std::move(given));
}

const Given* find_given(const std::vector<Given>& list, Field field, const Endpoint& endpoint) {
  for (const Given& known : list)
    if (known.field == field && known.given == endpoint) return &known;
  return nullptr;
}

Dialog* Leg::find_dialog(std::string_view tag) {
  const auto it = std::ranges::find(dialogs, tag, &Dialog::tag);
  return it == dialogs.end() ? nullptr : &*it;
}

bool Leg::is_confirmed() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.state == Dialog::State::confirmed; });
}

bool Leg::has_invite_usage() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.state == Dialog::State::confirmed && d.invite_usage; });
}

}  // namespace sipalg
