// SPDX-License-Identifier: GPL-2.0-or-later
// See overtaking.h.
#include "alg/engine/overtaking.h"

#include <algorithm>
#include <utility>

#include "alg/sip/scanner.h"

namespace sipalg {
namespace {

// Eight ask for their doors at a seventh of what one alone pays to get into the kernel. More gain little, and a Scratch for each
// does not stay in the cache.
constexpr std::size_t most_under_way = 8;

}  // namespace

bool Overtaking::may_wait() {
  if (under_way_.empty() || under_way_.size() >= most_under_way) return false;
  UnderWay& innermost = *under_way_.back();
  if (!std::exchange(innermost.is_read_, true) && sip::scan(innermost.bytes_, *message_)) {
    innermost.call_id_ = message_->call_id.in(innermost.bytes_);
    innermost.may_wait_ = message_->method == sip::Method::invite;
  }
  return innermost.may_wait_;
}

bool Overtaking::may_come_first(std::string_view bytes) {
  if (!sip::scan(bytes, *message_)) return true;
  const std::string_view call_id = message_->call_id.in(bytes);
  return std::ranges::none_of(under_way_, [&](const UnderWay* waiting) { return waiting->call_id_ == call_id; });
}

}  // namespace sipalg
