// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/passage.h"

#include <algorithm>

namespace sipalg {

void Group::edit(Span span, Field field, std::string_view text) {
  if (!rules_.edits.add(span, field, text)) fail(Reason::too_many_edits);
}

bool Group::opens_something() const {
  const auto is_closed = [this](DoorId id) { return rules_.doors.is_closed(id); };
  return std::ranges::any_of(doors_, is_closed) || std::ranges::any_of(reserved_, is_closed);
}

bool Group::commit() {
  if (!failed()) {
    if (const auto opened = rules_.doors.open({doors_.data(), doors_.size()}, rules_.opened); !opened) fail(opened.error());
  }
  if (failed()) {
    undo();
    return false;
  }
  done_ = true;
  return true;
}

void Group::release_doors() {
  done_ = true;
  for (DoorId door : doors_) rules_.doors.release(door, now_);
  for (DoorId door : reserved_) rules_.doors.release(door, now_);
  doors_.clear();
  reserved_.clear();
}

void Group::undo() {
  if (done_) return;
  release_doors();
  rules_.edits.rollback(mark_);
}

}  // namespace sipalg
