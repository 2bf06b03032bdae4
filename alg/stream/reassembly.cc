// SPDX-License-Identifier: GPL-2.0-or-later
// See reassembly.h.
#include "alg/stream/reassembly.h"

#include <algorithm>

namespace sipalg {

void Reassembly::add(Position begin, std::string_view bytes) {
  const Position end = begin + static_cast<Position>(bytes.size());
  auto next = pieces_.upper_bound(begin);
  Position at = begin;
  if (next != pieces_.begin()) {
    const auto before = std::prev(next);
    at = std::max(at, before->first + static_cast<Position>(before->second.size()));
  }
  while (at < end) {
    const Position until = next == pieces_.end() ? end : std::min(end, next->first);
    if (at < until) {
      const auto size = static_cast<std::size_t>(until - at);
      pieces_.emplace_hint(next, at, bytes.substr(static_cast<std::size_t>(at - begin), size));
      bytes_ += size;
    }
    if (next == pieces_.end()) return;
    at = std::max(at, next->first + static_cast<Position>(next->second.size()));
    ++next;
  }
}

Position Reassembly::take(Position next, std::string& bytes) {
  while (!pieces_.empty() && pieces_.begin()->first <= next) {
    const auto first = pieces_.begin();
    const auto skip = static_cast<std::size_t>(next - first->first);
    bytes_ -= first->second.size();
    if (skip < first->second.size()) {
      bytes.append(first->second, skip);
      next += static_cast<Position>(first->second.size() - skip);
    }
    pieces_.erase(first);
  }
  return next;
}

}  // namespace sipalg
