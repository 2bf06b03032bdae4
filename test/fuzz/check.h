// SPDX-License-Identifier: GPL-2.0-or-later
// What every fuzz target needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "alg/base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size);

namespace sipalg::test {

inline void check(bool holds) {
  if (!holds) std::abort();
}

inline std::string_view view_of(const uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A span that was found stands inside [begin, end).
inline void check_inside(Span span, Span outer) {
  check(span.begin <= span.end);
  if (span.is_set()) check(span.begin >= outer.begin && span.end <= outer.end);
}

}  // namespace sipalg::test
