// SPDX-License-Identifier: GPL-2.0-or-later
// a= lines that name an endpoint or say how a media line is used.
#pragma once
#include <array>
#include <bit>
#include <optional>

#include "alg/base/lower_word.h"
#include "alg/sdp/line_cursor.h"
#include "alg/sdp/session.h"

namespace sipalg::sdp {

constexpr uint32_t four(const char (&letters)[5]) {
  return std::bit_cast<uint32_t>(std::array{letters[0], letters[1], letters[2], letters[3]});
}

// Whether it begins like an attribute that has a meaning for the ALG: most do not.
inline bool may_have_meaning(std::string_view line) noexcept {
  if (line.size() < 4) return false;
  switch (number_at<uint32_t>(line.data())) {
    case four("send"): case four("recv"): case four("inac"):  // a direction
    case four("rtcp"): case four("bund"): case four("setu"):
    case four("cand"): case four("remo"): case four("altc"): case four("path"): return true;
    default: return false;
  }
}

// `line` stands behind "a="; it belongs to the last media line, or to the session when there is none. Attributes without
// meaning for the ALG, and an a=candidate, a=altc or a=path that can not be read, are passed over.
// bad_attribute: an a=rtcp of a media line that can not be read. too_many.
std::optional<ScanError> read_attribute(LineCursor line, Session& session, Media* media) noexcept;

}  // namespace sipalg::sdp
