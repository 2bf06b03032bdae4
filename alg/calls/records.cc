// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/records.h"

#include <algorithm>

namespace sipalg {

void Transaction::recycle() {
  constexpr std::size_t items_worth_keeping = 64, bytes_worth_keeping = 4096;  // what is larger belonged to something rare
  Transaction empty;
  const auto keep = [](auto& list, auto& into) {
    if constexpr (requires { list.bytes(); }) {
      if (list.bytes() > bytes_worth_keeping) return;
    } else if (list.size() > items_worth_keeping) {
      return;
    }
    list.clear();
    into = std::move(list);
  };
  keep(givens, empty.givens);
  keep(restored, empty.restored);
  keep(doors, empty.doors);
  keep(wishes, empty.wishes);
  keep(bodies, empty.bodies);
  keep(offer.said, empty.offer.said);
  *this = std::move(empty);
}

void Transaction::prefetch_lists() const {
  givens.prefetch();
  restored.prefetch();
  wishes.prefetch();
  bodies.prefetch();
  offer.said.prefetch();
}

Dialog* Leg::find_dialog(TagId tag) {
  const auto it = std::ranges::find(dialogs, tag, &Dialog::id);
  return it == dialogs.end() ? nullptr : &*it;
}

std::string_view Leg::tag_of(const Dialog& dialog) const {
  return texts[dialog_tags + static_cast<std::size_t>(&dialog - dialogs.begin())];
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
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.is_call() && d.session.is_held(); });
}

bool needed(const FlowPorts& flow, uint16_t port, std::span<const uint16_t> in_service) {
  if (flow.inside != port && flow.remote != port && flow.outside != port) return false;
  return !std::ranges::binary_search(in_service, flow.inside) && !std::ranges::binary_search(in_service, flow.remote);
}

}  // namespace sipalg
