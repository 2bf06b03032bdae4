// SPDX-License-Identifier: GPL-2.0-or-later
// Takes one entry out of a multimap: the one with this key and this value.
#pragma once

namespace sipalg {

template <typename Index, typename Key, typename Value> void erase_one(Index& index, const Key& key, const Value& value) {
  const auto [first, last] = index.equal_range(key);
  for (auto it = first; it != last; ++it) {
    if (!(it->second == value)) continue;
    index.erase(it);
    return;
  }
}

}  // namespace sipalg
