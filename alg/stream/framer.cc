// SPDX-License-Identifier: GPL-2.0-or-later
// See framer.h.
#include "alg/stream/framer.h"

#include <algorithm>
#include <utility>
#include <optional>

#include "alg/sip/cursor.h"
#include "alg/sip/head_lines.h"
#include "alg/sip/header_name.h"
#include "alg/sip/scanner.h"

namespace sipalg {
namespace {

// A LF that a LF or CRLF follows: the byte behind the blank line, or nothing.
std::optional<std::size_t> find_head_end(std::string_view bytes, std::size_t from) {
  for (std::size_t feed = bytes.find('\n', from); feed != std::string_view::npos; feed = bytes.find('\n', feed + 1)) {
    if (feed + 1 < bytes.size() && bytes[feed + 1] == '\n') return feed + 2;
    if (feed + 2 < bytes.size() && bytes[feed + 1] == '\r' && bytes[feed + 2] == '\n') return feed + 3;
  }
  return std::nullopt;
}

// The blank line may begin in the last two of these bytes.
std::size_t unsearched_from(std::size_t size) { return size < 2 ? 0 : size - 2; }

// What of a head says where the body ends, and whether it can hold addresses.
struct BodyFields {
  std::optional<uint32_t> length;
  bool is_certain = true;
  bool is_held = false;
};

// Whether a body of this type may have addresses in it (RFC 3261 section 7.4.1: the type decides, parameters do not).
bool is_held_type(std::string_view value) {
  constexpr std::string_view multipart = "multipart/";
  const std::string_view type = value.substr(0, value.find_first_of("; \t\r\n"));
  return equals_ignoring_case(type, "application/sdp") || equals_ignoring_case(type.substr(0, multipart.size()), multipart);
}

void read_field(BodyFields& fields, std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  sip::Cursor value{line.data(), line.data() + colon + 1, line.data() + line.size()};
  sip::Cursor name{line.data(), line.data(), line.data() + colon};
  name.trim();
  value.trim();
  const sip::Header header = sip::find_header(name.rest());
  if (header == sip::Header::content_type) fields.is_held |= is_held_type(value.rest());
  if (header != sip::Header::content_length) return;
  const auto length = parse_number(value.rest());
  if (!length || (fields.length && *fields.length != *length)) fields.is_certain = false;
  fields.length = length;
}

BodyFields read_fields(std::string_view head) {
  BodyFields fields;
  sip::HeadLines lines;
  if (sip::split_head(head, 0, lines)) {
    fields.is_certain = false;
    return fields;
  }
  for (std::size_t i = 1; i < lines.count; ++i) {
    const uint32_t begin = lines.lines[i].begin;
    while (i + 1 < lines.count && (head[lines.lines[i + 1].begin] == ' ' || head[lines.lines[i + 1].begin] == '\t')) ++i;
    read_field(fields, head.substr(begin, lines.lines[i].end - begin));
  }
  return fields;
}

}  // namespace

Piece Framer::pass(std::size_t available) {
  const auto size = static_cast<std::size_t>(std::min<uint64_t>(available, to_pass_));
  to_pass_ -= size;
  return {Piece::Kind::pass, size, 0};
}

bool Framer::skip_message() {
  searched_ = 0;
  if (to_pass_ == 0) to_pass_ = std::exchange(needed_, 0);
  is_skipping_head_ = to_pass_ == 0 && has_begun_;
  return to_pass_ != 0 || is_skipping_head_;
}

bool Framer::advance(uint64_t bytes) {
  if (bytes > to_pass_) return false;
  to_pass_ -= bytes;
  return true;
}

Piece Framer::skip_head(std::string_view bytes, std::size_t most_message_bytes) {
  const uint64_t passed = skipped_.size();
  skipped_.append(bytes);
  const bool is_sip = sip::judge_beginning(skipped_) != sip::Beginning::other;
  const auto head = is_sip ? find_head_end(skipped_, searched_) : std::nullopt;
  if (is_sip && !head && skipped_.size() <= most_message_bytes) {
    searched_ = unsearched_from(skipped_.size());
    return {Piece::Kind::pass, bytes.size(), 0};
  }
  const BodyFields fields = head ? read_fields(std::string_view(skipped_).substr(0, *head)) : BodyFields{};
  is_skipping_head_ = false;
  searched_ = 0;
  skipped_ = {};
  if (!fields.is_certain || !fields.length) return {Piece::Kind::lost, 0, 0};
  to_pass_ = *head + *fields.length - passed;
  return pass(bytes.size());
}

Piece Framer::next(std::string_view bytes, std::size_t most_message_bytes) {
  if (to_pass_ != 0) return pass(bytes.size());
  if (is_skipping_head_) return skip_head(bytes, most_message_bytes);
  if (const std::size_t ends = std::min(bytes.find_first_not_of("\r\n"), bytes.size()); ends != 0)
    return {Piece::Kind::pass, ends, 0};
  if (bytes.size() < needed_) return {};
  const sip::Beginning beginning = sip::judge_beginning(bytes);
  if (beginning == sip::Beginning::unknown) return {};
  if (beginning == sip::Beginning::other) return {has_begun_ ? Piece::Kind::lost : Piece::Kind::not_sip, 0, 0};
  has_begun_ = true;
  return frame_head(bytes, most_message_bytes);
}

Piece Framer::frame_head(std::string_view bytes, std::size_t most_message_bytes) {
  const auto head = find_head_end(bytes, searched_);
  if (!head) {
    searched_ = unsearched_from(bytes.size());
    return {bytes.size() > most_message_bytes ? Piece::Kind::lost : Piece::Kind::need_more, 0, 0};
  }
  const BodyFields fields = read_fields(bytes.substr(0, *head));
  if (!fields.is_certain || !fields.length) return {Piece::Kind::lost, 0, 0};
  return decide_message(*head, *fields.length, fields.is_held, bytes.size(), most_message_bytes);
}

Piece Framer::decide_message(std::size_t head, std::size_t body, bool is_body_held, std::size_t there, std::size_t most) {
  const std::size_t held = is_body_held ? head + body : head;
  if (held > most) {
    to_pass_ = head + body;
    searched_ = needed_ = 0;
    Piece piece = pass(there);
    piece.kind = Piece::Kind::pass_too_big;
    return piece;
  }
  needed_ = held;
  if (there < held) return {};
  searched_ = needed_ = 0;
  to_pass_ = is_body_held ? 0 : body;
  return {Piece::Kind::message, held, is_body_held ? 0 : body};
}

}  // namespace sipalg
