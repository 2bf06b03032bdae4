// SPDX-License-Identifier: GPL-2.0-or-later
// See flow_cache.h.
#include "conntrack/flow_cache.h"

#include <algorithm>

namespace sipalg {

std::size_t FlowCache::hash_of(const Tuple& header) {
  const std::size_t source = sipalg::hash_of(header.source.address, std::size_t{1} + header.source.port);
  return sipalg::hash_of(header.destination.address, source + header.destination.port + static_cast<std::size_t>(header.protocol));
}

// `ways`: nowhere.
std::size_t FlowCache::place_in(const Set& set, const Tuple& header, uint32_t tag) {
  for (std::size_t i = 0; i < ways; ++i)
    if (set.tags[i] == tag && set.entries[i].header == header) return i;
  return ways;
}

const Flow* FlowCache::find(const Tuple& header, Instant now) const {
  const std::size_t hash = hash_of(header);
  const Set& set = sets_[index_of(hash)];
  const std::size_t place = place_in(set, header, tag_of(hash));
  return place < ways && set.entries[place].until > now ? &set.entries[place].flow : nullptr;
}

void FlowCache::insert(const Tuple& header, const Flow& flow, Instant now, Instant until) {
  const std::size_t hash = hash_of(header);
  Set* set = &sets_[index_of(hash)];
  std::size_t place = place_in(*set, header, tag_of(hash));
  while (place == ways) {
    place = static_cast<std::size_t>(std::ranges::min_element(set->entries, {}, &Entry::until) - set->entries.begin());
    if (set->entries[place].until <= now || places() >= most || !is_crowded(index_of(hash), now)) break;
    grow(now);
    set = &sets_[index_of(hash)];
    place = ways;
  }
  set->tags[place] = tag_of(hash);
  set->entries[place] = {header, flow, until};
}

bool FlowCache::is_crowded(std::size_t index, Instant now) const {
  std::size_t living = 0;
  for (std::size_t i = 0; i < around; ++i)
    for (const Entry& entry : sets_[(index + i) & (sets_.size() - 1)].entries) living += entry.until > now;
  return living * 2 > around * ways;
}

void FlowCache::erase(const Tuple& header) {
  const std::size_t hash = hash_of(header);
  Set& set = sets_[index_of(hash)];
  if (const std::size_t place = place_in(set, header, tag_of(hash)); place < ways) set.entries[place].until = {};
}

// Each set becomes two, neither of which can get more than the one had.
void FlowCache::grow(Instant now) {
  std::vector<Set> before(sets_.size() * 2);
  before.swap(sets_);
  for (const Set& set : before)
    for (const Entry& entry : set.entries)
      if (entry.until > now) insert(entry.header, entry.flow, now, entry.until);
}

} // namespace sipalg
