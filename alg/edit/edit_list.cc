// SPDX-License-Identifier: GPL-2.0-or-later
// Edits sorted by place, and the single pass that writes the message with them.
#include "alg/edit/edit_list.h"

#include <algorithm>
#include <cassert>

#include "alg/base/limits.h"

namespace sipalg {
namespace {

// Two insertions at one place would have no order: they count as overlapping.
bool overlap(Span a, Span b) {
  if (a.empty() && b.empty()) return a.begin == b.begin;
  return a.begin < b.end && b.begin < a.end;
}

bool is_inside(Span inner, uint32_t begin, uint32_t end) { return inner.begin >= begin && inner.end <= end; }

}  // namespace

std::string_view name_of(Field field) {
  switch (field) {
    case Field::request_uri: return "Request-URI";
    case Field::via: return "Via";
    case Field::via_received: return "Via received";
    case Field::via_rport: return "Via rport";
    case Field::contact: return "Contact";
    case Field::record_route: return "Record-Route";
    case Field::route: return "Route";
    case Field::path: return "Path";
    case Field::service_route: return "Service-Route";
    case Field::from: return "From";
    case Field::to: return "To";
    case Field::refer_to: return "Refer-To";
    case Field::sdp_origin: return "SDP o=";
    case Field::sdp_connection: return "SDP c=";
    case Field::sdp_media: return "SDP m=";
    case Field::sdp_rtcp: return "SDP a=rtcp";
    case Field::sdp_candidate: return "SDP a=candidate";
    case Field::sdp_remote_candidates: return "SDP a=remote-candidates";
    case Field::sdp_path: return "SDP a=path";
    case Field::sdp_altc: return "SDP a=altc";
    case Field::content_length: return "Content-Length";
  }
  return "unknown";
}

void EditList::clear() {
  edits_.clear();
  generations_.clear();
  next_generation_ = 0;
  arena_.clear();
}

bool EditList::add(Span span, Field field, std::string_view text) {
  if (edits_.size() >= limits::edits || span.begin > span.end) return false;
  const auto behind = std::upper_bound(edits_.begin(), edits_.end(), span,
                                       [](Span s, const Edit& e) { return s < e.span; });
  if (behind != edits_.end() && overlap(behind->span, span)) return false;
  if (behind != edits_.begin() && overlap(std::prev(behind)->span, span)) return false;
  const auto index = behind - edits_.begin();
  edits_.insert(behind, Edit{span, field, static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(text.size())});
  generations_.insert(generations_.begin() + index, next_generation_++);
  arena_ += text;
  return true;
}

long EditList::growth(uint32_t begin, uint32_t end) const {
  long sum = 0;
  for (const Edit& edit : edits_)
    if (is_inside(edit.span, begin, end)) sum += static_cast<long>(edit.text_size) - static_cast<long>(edit.span.size());
  return sum;
}

EditList::Mark EditList::mark() const { return {next_generation_}; }

void EditList::rollback(Mark mark) {
  std::size_t kept = 0;
  std::size_t arena = 0;
  for (std::size_t i = 0; i < edits_.size(); ++i) {
    if (generations_[i] >= mark.generation) continue;
    arena = std::max<std::size_t>(arena, edits_[i].text_begin + edits_[i].text_size);
    edits_[kept] = edits_[i];
    generations_[kept++] = generations_[i];
  }
  edits_.erase(edits_.begin() + static_cast<std::ptrdiff_t>(kept), edits_.end());
  generations_.resize(kept);
  arena_.resize(arena);
  next_generation_ = std::min(next_generation_, mark.generation);
}

void apply(std::string_view message, const EditList& edits, std::string& out) {
  out.clear();
  const long size = static_cast<long>(message.size());
  out.reserve(static_cast<std::size_t>(std::max(0L, size + edits.growth(0, static_cast<uint32_t>(message.size())))));
  uint32_t at = 0;
  for (const Edit& edit : edits.edits()) {
    assert(edit.span.begin >= at && edit.span.begin <= edit.span.end && edit.span.end <= message.size());
    out.append(message.substr(at, edit.span.begin - at));
    out.append(edits.text(edit));
    at = edit.span.end;
  }
  out.append(message.substr(at));
}

}  // namespace sipalg
