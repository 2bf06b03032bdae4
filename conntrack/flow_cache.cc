// SPDX-License-Identifier: GPL-2.0-or-later
// See flow_cache.h.
#include "conntrack/flow_cache.h"

#include <algorithm>

namespace sipalg {

std::size_t FlowCache::hash_of(const Tuple& header) {
  const std::size_t source = sipalg::hash_of(header.source.address, std::size_t{1} + header.source.port);
  return sipalg::hash_of(header.destination.address, source + header.destination.port + static_cast<std::size_t>(header.protocol));
}

FlowCache::Entry* FlowCache::find_entry(const Tuple& header, std::size_t hash) {
  for (const std::size_t index : indexes_of(hash)) {
    Set& set = sets_[index];
    for (std::size_t i = 0; i < ways; ++i)
      if (set.tags[i] == tag_of(hash) && set.entries[i].header == header) return &set.entries[i];
  }
  return nullptr;
}

const Flow* FlowCache::find(const Tuple& header, Instant now) {
  const Entry* entry = find_entry(header, hash_of(header));
  return entry != nullptr && entry->until > now ? &entry->flow : nullptr;
}

std::size_t FlowCache::living_in(const Set& set, Instant now) {
  return static_cast<std::size_t>(std::ranges::count_if(set.entries, [now](const Entry& entry) { return entry.until > now; }));
}

void FlowCache::insert(const Tuple& header, const Flow& flow, Instant now, Instant until) {
  const std::size_t hash = hash_of(header);
  if (Entry* known = find_entry(header, hash)) return void(*known = {header, flow, until});
  for (;;) {
    const auto [first, second] = indexes_of(hash);
    Set& set = sets_[living_in(sets_[first], now) <= living_in(sets_[second], now) ? first : second];
    if (living_in(set, now) == ways && places() < most && is_crowded(first, now)) {
      grow(now);
      continue;
    }
    const auto place = static_cast<std::size_t>(std::ranges::min_element(set.entries, {}, &Entry::until) - set.entries.begin());
    set.tags[place] = tag_of(hash);
    set.entries[place] = {header, flow, until};
    return;
  }
}

bool FlowCache::is_crowded(std::size_t index, Instant now) const {
  std::size_t living = 0;
  for (std::size_t i = 0; i < around; ++i) living += living_in(sets_[(index + i) & (sets_.size() - 1)], now);
  return living * 2 > around * ways;
}

void FlowCache::erase(const Tuple& header) {
  if (Entry* entry = find_entry(header, hash_of(header))) entry->until = {};
}

void FlowCache::grow(Instant now) {
  std::vector<Set> before(sets_.size() * 2);
  before.swap(sets_);
  for (const Set& set : before)
    for (const Entry& entry : set.entries)
      if (entry.until > now) insert(entry.header, entry.flow, now, entry.until);
}

} // namespace sipalg
