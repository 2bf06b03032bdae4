// SPDX-License-Identifier: GPL-2.0-or-later
// The head of a message as lines: where each ends, and what must not stand in any of them.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/base/limits.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

struct Line {
  uint32_t begin, end;  // without its line end
};

// CRLF and LF end a line, mixed too. `lines` are physical ones: a folded header is several.
struct HeadLines {
  HeadLines() noexcept {}  // leaves the array as it is: most of it is never used
  std::array<Line, limits::header_lines + 1> lines;
  std::size_t count = 0;  // first line included, blank line not
  uint32_t end = 0;       // behind the blank line
};

// Starts at `begin`. no_blank_line, nul_in_head, bare_cr, too_many.
std::optional<ScanFailure> split_head(std::string_view bytes, uint32_t begin, HeadLines& head) noexcept;

}  // namespace sipalg::sip
