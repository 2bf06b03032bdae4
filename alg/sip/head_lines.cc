// SPDX-License-Identifier: GPL-2.0-or-later
// Splits the head of a message into lines.
#include "alg/sip/head_lines.h"

#include <cstring>

namespace sipalg::sip {
namespace {

// The first `c` in [begin, end), else `end`.
uint32_t find(std::string_view bytes, char c, uint32_t begin, uint32_t end) noexcept {
  const void* found = std::memchr(bytes.data() + begin, c, end - begin);
  return found == nullptr ? end : static_cast<uint32_t>(static_cast<const char*>(found) - bytes.data());
}

}  // namespace

std::optional<ScanFailure> split_head(std::string_view bytes, uint32_t begin, HeadLines& head) noexcept {
  const auto size = static_cast<uint32_t>(bytes.size());
  for (uint32_t at = begin;;) {
    const uint32_t feed = find(bytes, '\n', at, size);
    if (feed == size) return ScanFailure{ScanError::no_blank_line, size};
    // RFC 3261 knows no CR by itself; parsers that take one for a line end would see headers here that others do not.
    const uint32_t carriage_return = find(bytes, '\r', at, feed);
    if (carriage_return + 1 < feed) return ScanFailure{ScanError::bare_cr, carriage_return};
    const uint32_t end = carriage_return;
    if (end == at) {
      head.end = feed + 1;
      break;
    }
    if (head.count == head.lines.size()) return ScanFailure{ScanError::too_many, at};
    head.lines[head.count++] = {at, end};
    at = feed + 1;
  }
  const uint32_t nul = find(bytes, '\0', begin, head.end);
  if (nul != head.end) return ScanFailure{ScanError::nul_in_head, nul};
  return std::nullopt;
}

}  // namespace sipalg::sip
