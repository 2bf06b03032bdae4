// SPDX-License-Identifier: GPL-2.0-or-later
// Hashes of texts that peers choose. Salted, so that nobody can choose texts that meet in one place of a table.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace sipalg {

uint64_t hash_text(std::string_view text, uint64_t salt);

// Wide enough to stand for the texts: that two of a million records meet is as likely as a memory error nobody notices.
struct WideHash {
  uint64_t low = 0, high = 0;
  friend bool operator==(const WideHash&, const WideHash&) = default;
};
// Each text counts with its length: "a", "bc" differs from "ab", "c".
WideHash hash_texts(std::initializer_list<std::string_view> texts, uint64_t salt);

}  // namespace sipalg
