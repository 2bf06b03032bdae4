// SPDX-License-Identifier: GPL-2.0-or-later
// The edits of one message, and the one function that applies them.
//
//     message   ...Via: SIP/2.0/UDP 10.0.0.2:5060;branch=...
//     edit                         [begin,end) -> "203.0.113.1:61000"
//
// Invariants: spans do not overlap, lie inside the message, and bytes outside all spans come out identical and in order.
#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "alg/base/text.h"

namespace sipalg {

// What was edited, for `explain`, the journal and counters.
enum class Field : uint8_t {
  request_uri, via, via_received, via_rport, contact, record_route, route, path, service_route, from, to, refer_to,
  sdp_origin, sdp_connection, sdp_media, sdp_rtcp, sdp_candidate, sdp_remote_candidates, sdp_path, sdp_altc, content_length,
};
std::string_view name_of(Field field);  // "Request-URI", "Via", "SDP o=", ...

struct Edit {
  Span span;         // of the message as it came
  Field field;
  uint32_t text_begin, text_size;  // the new bytes, in the list's own arena
};

// Reused from message to message: clear() keeps the memory.
class EditList {
 public:
  void clear();
  // False: the list is full (limits::edits) or the span overlaps one that is already in.
  [[nodiscard]] bool add(Span span, Field field, std::string_view text);
  bool empty() const { return edits_.empty(); }
  std::size_t size() const { return edits_.size(); }
  const std::vector<Edit>& edits() const { return edits_; }  // ordered by span
  std::string_view text(const Edit& edit) const { return std::string_view(arena_).substr(edit.text_begin, edit.text_size); }
  // How much longer (or shorter) the bytes [begin, end) of the message become.
  long growth(uint32_t begin, uint32_t end) const;
  // A group of edits stands or falls as a whole: mark before it, rollback when it fails.
  struct Mark { std::size_t generation; };
  Mark mark() const;
  void rollback(Mark mark);  // removes what was added since: a group that failed leaves nothing

 private:
  std::vector<Edit> edits_;
  std::vector<std::size_t> generations_;  // beside edits_: when each came
  std::size_t next_generation_ = 0;
  std::string arena_;
};

// Writes the edited message to `out` (cleared first). Asserts the invariants.
void apply(std::string_view message, const EditList& edits, std::string& out);

}  // namespace sipalg
