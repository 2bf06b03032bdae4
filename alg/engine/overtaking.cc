// SPDX-License-Identifier: GPL-2.0-or-later
// See overtaking.h.
#include "alg/engine/overtaking.h"

#include <algorithm>

namespace sipalg {
namespace {

// Eight ask for their doors at a seventh of what one alone pays to get into the kernel. More gain little, and a Scratch for each
// does not stay in the cache.
constexpr std::size_t most_under_way = 8;

}  // namespace

Overtaking::UnderWay::UnderWay(Overtaking& all, Scratch& scratch, std::string_view bytes)
    : scratch_(scratch), listed_(all.under_way_, *this) {
  if (!scratch.is_ahead(bytes)) static_cast<void>(scratch.read_ahead(bytes));
  if (!scratch.ahead) return;
  call_id_ = scratch.message.call_id.in(bytes);
  may_wait_ = scratch.message.method == sip::Method::invite;
}

bool Overtaking::may_wait() const {
  return !under_way_.empty() && under_way_.size() < most_under_way && under_way_.back()->may_wait_;
}

bool Overtaking::may_come_first(std::string_view bytes, Scratch& next) const {
  if (!next.read_ahead(bytes)) return true;
  const std::string_view call_id = next.message.call_id.in(bytes);
  return std::ranges::none_of(under_way_, [&](const UnderWay* waiting) { return waiting->call_id_ == call_id; });
}

}  // namespace sipalg
