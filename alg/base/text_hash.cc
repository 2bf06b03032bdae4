// SPDX-License-Identifier: GPL-2.0-or-later
// XXH3 of libxxhash does the work.
#include "alg/base/text_hash.h"

#include <xxhash.h>

namespace sipalg {

uint64_t hash_text(std::string_view text, uint64_t salt) { return XXH3_64bits_withSeed(text.data(), text.size(), salt); }

WideHash hash_texts(std::initializer_list<std::string_view> texts, uint64_t salt) {
  WideHash hash{salt, salt};
  for (const std::string_view text : texts) {
    const XXH128_hash_t next = XXH3_128bits_withSeed(text.data(), text.size(), hash.low);
    hash = {next.low64, next.high64 ^ (hash.high * 0x9e3779b97f4a7c15ULL + hash.low)};
  }
  return hash;
}

}  // namespace sipalg
