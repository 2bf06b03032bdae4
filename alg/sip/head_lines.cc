// SPDX-License-Identifier: GPL-2.0-or-later
// Splits the head of a message into lines.
#include "alg/sip/head_lines.h"

#include <cstring>

#include "alg/base/lines.h"

namespace sipalg::sip {
namespace {

// RFC 3261 knows no CR by itself; parsers that take one for a line end would see headers here that others do not.
ScanFailure judge_carriage_return(std::string_view bytes, uint32_t at) noexcept {
  const bool has_feed = std::memchr(bytes.data() + at, '\n', bytes.size() - at) != nullptr;
  if (has_feed) return {ScanError::bare_cr, at};
  return {ScanError::no_blank_line, static_cast<uint32_t>(bytes.size())};
}

}  // namespace

std::optional<ScanFailure> split_head(std::string_view bytes, uint32_t begin, HeadLines& head) noexcept {
  const char* const base = bytes.data();
  const auto offset = [base](const char* at) { return static_cast<uint32_t>(at - base); };
  Line* line = head.lines.data();
  Line* const full = line + head.lines.size();
  const char* nul = nullptr;
  std::optional<ScanFailure> failure = ScanFailure{ScanError::no_blank_line, static_cast<uint32_t>(bytes.size())};
  const auto on_line = [&](const char* first, const char* end, const char* behind) {
    if (first == end) {
      head.end = offset(behind);
      failure.reset();
      return false;
    }
    if (line == full) {
      failure = ScanFailure{ScanError::too_many, offset(first)};
      return false;
    }
    *line++ = {offset(first), offset(end)};
    return true;
  };
  const auto on_other = [&](const char* at) {
    if (*at == '\r') failure = judge_carriage_return(bytes, offset(at));
    if (*at == '\0' && nul == nullptr) nul = at;
    return *at != '\r';
  };
  walk_lines(bytes.substr(begin), on_line, on_other);
  head.count = static_cast<std::size_t>(line - head.lines.data());
  if (!failure && nul != nullptr) failure = ScanFailure{ScanError::nul_in_head, offset(nul)};
  return failure;
}

}  // namespace sipalg::sip
