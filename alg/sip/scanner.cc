// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a SIP message once, front to back.
//
// How it works
//   The head is split into lines first, which settles the questions of structure: line ends, NULs, the blank line. Then each
//   header name is looked up and the value handed to the file of its grammar noun.
//   Two kinds of malformed: what makes the structure or the identity of the transaction uncertain (first line, top Via, From, To,
//   Call-ID, CSeq, Content-Length) fails the scan; anything else the ALG looks at is marked in Message::unreadable; headers
//   it does not look at are not judged. An ALG must not be a stricter endpoint than the two it stands between.
//   A second Content-Length is a failure even when it repeats the first: an edit of the body would have to change both.
#include "alg/sip/scanner.h"

#include <algorithm>
#include <cstring>

#include "alg/sip/cseq.h"
#include "alg/sip/first_line.h"
#include "alg/sip/head_lines.h"
#include "alg/sip/header_name.h"
#include "alg/sip/method.h"
#include "alg/sip/name_addr.h"
#include "alg/sip/small_values.h"
#include "alg/sip/via.h"

namespace sipalg::sip {
namespace {

// Everything but the lists, whose storage is large, is made new.
void reset(Message& m) noexcept {
  m.unreadable = 0;
  m.is_request = false;
  m.method = Method::other;
  m.method_text = m.first_line = m.head = m.body = m.call_id = m.cseq_method = m.content_length = {};
  m.content_type = m.content_encoding = m.subscription_state = {};
  make_new(m.request_uri);
  m.status = 0;
  m.cseq = 0;
  m.vias.clear();
  m.contacts.clear();
  m.record_routes.clear();
  m.routes.clear();
  m.paths.clear();
  m.service_routes.clear();
  make_new(m.from), make_new(m.to), make_new(m.refer_to);
  m.content_length_number = m.expires = m.session_expires = {};
  m.is_body_elsewhere = m.has_identity = m.has_auth_int = false;
}

Span span_of(const Cursor& value) noexcept {
  return {value.offset(), value.offset() + static_cast<uint32_t>(value.rest().size())};
}

class Scanner {
 public:
  Scanner(std::string_view bytes, Message& message, std::size_t bytes_behind) noexcept
      : bytes_(bytes), m_(message), bytes_behind_(bytes_behind) {}
  std::expected<void, ScanFailure> run() noexcept;

 private:
  bool fail(ScanError error, uint32_t offset) noexcept;
  bool fail(ScanError error, const Cursor& at) noexcept { return fail(error, at.offset()); }
  Cursor cursor(uint32_t begin, uint32_t end) const noexcept {
    return {bytes_.data(), bytes_.data() + begin, bytes_.data() + end, bytes_.data() + bytes_.size()};
  }
  bool read_start() noexcept;
  bool read_headers() noexcept;
  bool read_header(Cursor line) noexcept;
  bool read_value(Header header, Cursor value) noexcept;
  bool read_vias(Cursor value) noexcept;
  template <typename L> bool read_list(Cursor value, L& list, Unreadable mark) noexcept;
  bool read_party(Cursor value, NameAddr& out, Unreadable mark) noexcept;
  bool read_refer_to(Cursor value) noexcept;
  bool read_call_id(Cursor value) noexcept;
  bool read_cseq(Cursor value) noexcept;
  bool read_content_length(Cursor value) noexcept;
  bool read_content_type(Cursor value) noexcept;
  bool read_note(Header header, Cursor value) noexcept;
  bool require_headers() noexcept;
  bool find_body() noexcept;

  std::string_view bytes_;
  Message& m_;
  std::size_t bytes_behind_;
  HeadLines head_;
  ScanFailure failure_{ScanError::empty, 0};
};

bool Scanner::fail(ScanError error, uint32_t offset) noexcept {
  failure_ = {error, offset};
  return false;
}

uint32_t skip_line_ends(std::string_view bytes) noexcept {
  const auto begin = std::ranges::find_if_not(bytes, [](char c) { return c == '\r' || c == '\n'; });
  return static_cast<uint32_t>(begin - bytes.begin());
}

bool Scanner::read_start() noexcept {
  const uint32_t begin = skip_line_ends(bytes_);
  if (std::ranges::all_of(bytes_.substr(begin), [](char c) { return c == '\0' || is_in(c, blank); }))
    return fail(ScanError::empty, begin);
  if (const auto failure = split_head(bytes_, begin, head_))
    return begins_like_sip(bytes_) ? fail(failure->error, failure->offset) : fail(ScanError::not_sip, begin);
  m_.head = {begin, head_.end};
  const Line line = head_.lines[0];
  if (const auto failure = parse_first_line(cursor(line.begin, line.end), m_))
    return fail(failure->error, failure->offset);
  return true;
}

bool Scanner::read_headers() noexcept {
  const char* const base = bytes_.data();
  const char* const readable = base + bytes_.size();
  const Line* line = head_.lines.data() + 1;
  const Line* const end = head_.lines.data() + head_.count;
  const auto is_continuation = [base, end](const Line* one) {
    return one < end && (base[one->begin] == ' ' || base[one->begin] == '\t');
  };
  if (is_continuation(line)) return fail(ScanError::bad_header, line->begin);
  while (line < end) {
    const char* const begin = base + line->begin;
    while (is_continuation(line + 1)) ++line;
    if (!read_header({base, begin, base + line->end, readable})) return false;
    ++line;
  }
  return true;
}

bool Scanner::read_header(Cursor line) noexcept {
  const char* colon = line.find(':');
  if (colon == nullptr) return fail(ScanError::bad_header, line);
  Cursor name = line.with_end(colon);
  while (name.end != name.at && is_in(name.end[-1], blank)) --name.end;
  if (name.done()) return fail(ScanError::bad_header, line);
  const Header header = find_header(name.rest());
  if (header == Header::other) return true;
  Cursor value{line.base, colon + 1, line.end, line.readable};
  value.trim();
  return read_value(header, value);
}

bool Scanner::read_value(Header header, Cursor value) noexcept {
  switch (header) {
    case Header::via: return read_vias(value);
    case Header::from: return read_party(value, m_.from, Unreadable::from);
    case Header::to: return read_party(value, m_.to, Unreadable::to);
    case Header::call_id: return read_call_id(value);
    case Header::cseq: return read_cseq(value);
    case Header::contact: return read_list(value, m_.contacts, Unreadable::contact);
    case Header::record_route: return read_list(value, m_.record_routes, Unreadable::record_route);
    case Header::route: return read_list(value, m_.routes, Unreadable::route);
    case Header::path: return read_list(value, m_.paths, Unreadable::path);
    case Header::service_route: return read_list(value, m_.service_routes, Unreadable::service_route);
    case Header::refer_to: return read_refer_to(value);
    case Header::content_length: return read_content_length(value);
    case Header::content_type: return read_content_type(value);
    default: return read_note(header, value);
  }
}

bool Scanner::read_vias(Cursor value) noexcept {
  if (m_.is_unreadable(Unreadable::lower_via)) return true;
  for (;;) {
    while (value.is_at(',') || (!value.done() && is_in(*value.at, blank))) ++value.at;
    if (value.done()) return true;
    Via* via = m_.vias.append();
    if (via == nullptr) return fail(ScanError::too_many, value);
    if (parse_via(value, *via)) continue;
    if (m_.vias.size() == 1) return fail(ScanError::bad_via, value);
    m_.vias.drop_last();
    m_.mark_unreadable(Unreadable::lower_via);
    return true;
  }
}

// "*" (Contact, RFC 3261 section 10.2.2) is read in every list; only in Contact it means something. No value at all is no
// mistake: the line then says nothing.
bool take_star(Cursor& value, NameAddr& out) noexcept {
  Cursor star = value;
  if (!star.take('*')) return false;
  const Span span = star.since(value.at);
  star.skip_blanks();
  if (!star.done() && *star.at != ',') return false;
  out.value = span;
  out.is_star = true;
  value = star;
  return true;
}

template <typename L> bool Scanner::read_list(Cursor value, L& list, Unreadable mark) noexcept {
  while (!m_.is_unreadable(mark)) {
    while (value.is_at(',') || (!value.done() && is_in(*value.at, blank))) ++value.at;
    if (value.done()) return true;
    NameAddr* one = list.append();
    if (one == nullptr) {  // the bindings of many devices are no reason to leave the whole message alone
      m_.mark_unreadable(mark);
      return true;
    }
    if (take_star(value, *one) || parse_name_addr(value, *one) == NameAddrResult::readable) continue;
    list.drop_last();
    m_.mark_unreadable(mark);
  }
  return true;
}

// From and To identify the dialog by their tags; a URI nobody can read in them is the peers' business.
bool Scanner::read_party(Cursor value, NameAddr& out, Unreadable mark) noexcept {
  if (out.value.is_set()) return fail(ScanError::duplicate_header, value);
  const auto result = parse_name_addr(value, out, true);
  if (result == NameAddrResult::broken || !value.done() || out.value.empty())
    return fail(ScanError::bad_name_addr, value);
  if (result == NameAddrResult::unreadable_uri) m_.mark_unreadable(mark);
  return out.tag.size() <= limits::tag_bytes || fail(ScanError::too_many, out.tag.begin);
}

bool Scanner::read_refer_to(Cursor value) noexcept {
  const bool is_first = !m_.refer_to.value.is_set();
  if (!is_first || parse_name_addr(value, m_.refer_to) != NameAddrResult::readable || !value.done())
    m_.mark_unreadable(Unreadable::refer_to);
  return true;
}

bool Scanner::read_call_id(Cursor value) noexcept {
  if (m_.call_id.is_set()) return fail(ScanError::duplicate_header, value);
  m_.call_id = span_of(value);
  if (m_.call_id.size() > limits::call_id_bytes) return fail(ScanError::too_many, value);
  Cursor blank_inside = value;
  blank_inside.leap_until(blank);
  return (!value.done() && blank_inside.done()) || fail(ScanError::bad_call_id, value);
}

bool Scanner::read_cseq(Cursor value) noexcept {
  if (m_.cseq_method.is_set()) return fail(ScanError::duplicate_header, value);
  Cursor inside = value;
  if (!parse_cseq(inside, m_)) return fail(ScanError::bad_cseq, value);
  if (!m_.is_request) m_.method = method_of(m_.cseq_method.in(bytes_));
  return true;
}

bool Scanner::read_content_length(Cursor value) noexcept {
  if (m_.content_length.is_set()) return fail(ScanError::duplicate_header, value);
  m_.content_length = span_of(value);
  m_.content_length_number = parse_number(value.rest());
  return m_.content_length_number.has_value() || fail(ScanError::bad_content_length, value);
}

// Two of them: nobody knows what the body is.
bool Scanner::read_content_type(Cursor value) noexcept {
  if (m_.content_type.is_set()) m_.mark_unreadable(Unreadable::content_type);
  m_.content_type = span_of(value);
  return true;
}

bool Scanner::read_note(Header header, Cursor value) noexcept {
  switch (header) {
    case Header::content_encoding: m_.content_encoding = span_of(value); break;
    case Header::expires: m_.expires = parse_leading_number(value); break;
    case Header::session_expires: m_.session_expires = parse_leading_number(value); break;
    case Header::subscription_state: m_.subscription_state = span_of(value); break;
    case Header::identity: m_.has_identity = true; break;
    case Header::authorization: m_.has_auth_int |= has_auth_int(value); break;
    default: break;
  }
  return true;
}

bool Scanner::require_headers() noexcept {
  const bool complete = !m_.vias.empty() && m_.from.value.is_set() && m_.to.value.is_set() && m_.call_id.is_set() &&
                        m_.cseq_method.is_set();
  if (!complete) return fail(ScanError::missing_header, m_.head.end);
  const Span branch = m_.vias.front().branch;
  return branch.size() <= limits::branch_bytes || fail(ScanError::too_many, branch.begin);
}

bool Scanner::find_body() noexcept {
  const auto size = static_cast<uint32_t>(bytes_.size());
  const uint32_t there = size - m_.head.end;
  const uint32_t said = m_.content_length_number.value_or(there);
  if (said > there + bytes_behind_) return fail(ScanError::body_too_short, m_.content_length.begin);
  m_.is_body_elsewhere = said > there;
  if (m_.is_body_elsewhere) {
    m_.body = {size, size};
    return true;
  }
  m_.body = {m_.head.end, m_.head.end + said};
  return true;
}

std::expected<void, ScanFailure> Scanner::run() noexcept {
  if (read_start() && read_headers() && require_headers() && find_body()) return {};
  return std::unexpected(failure_);
}

}  // namespace

std::string_view name_of(ScanError error) {
  switch (error) {
    case ScanError::empty: return "empty";
    case ScanError::not_sip: return "not-sip";
    case ScanError::no_blank_line: return "no-blank-line";
    case ScanError::nul_in_head: return "nul-in-head";
    case ScanError::bare_cr: return "bare-cr";
    case ScanError::bad_header: return "bad-header";
    case ScanError::bad_via: return "bad-via";
    case ScanError::bad_uri: return "bad-uri";
    case ScanError::bad_name_addr: return "bad-name-addr";
    case ScanError::bad_cseq: return "bad-cseq";
    case ScanError::bad_content_length: return "bad-content-length";
    case ScanError::bad_call_id: return "bad-call-id";
    case ScanError::missing_header: return "missing-header";
    case ScanError::duplicate_header: return "duplicate-header";
    case ScanError::body_too_short: return "body-too-short";
    case ScanError::too_many: return "too-many";
  }
  return "unknown";
}

std::expected<void, ScanFailure> scan(std::string_view bytes, Message& message, std::size_t bytes_behind) noexcept {
  reset(message);
  return Scanner(bytes, message, bytes_behind).run();
}

bool begins_like_sip(std::string_view bytes) noexcept {
  bytes.remove_prefix(skip_line_ends(bytes));
  const std::size_t feed = bytes.find('\n');
  if (feed == std::string_view::npos) return false;
  std::string_view line = bytes.substr(0, feed);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return is_first_line(line);
}

Beginning judge_beginning(std::string_view bytes) noexcept {
  if (bytes.find('\n') != std::string_view::npos) return begins_like_sip(bytes) ? Beginning::sip : Beginning::other;
  constexpr std::string_view version = "SIP/2.0";
  const std::string_view word = bytes.substr(0, bytes.find(' '));
  if (equals_ignoring_case(word, version.substr(0, word.size()))) return Beginning::unknown;
  const bool is_method = std::ranges::all_of(word, [](char c) { return is_in(c, token); });
  return is_method && bytes.size() <= limits::stream_first_line_bytes ? Beginning::unknown : Beginning::other;
}

bool may_begin_common(std::string_view bytes) noexcept {
  const std::string_view word = bytes.substr(0, bytes.find(' '));
  if (word.size() < bytes.size()) return equals_ignoring_case(word, "SIP/2.0") || method_of(word) != Method::other;
  if (equals_ignoring_case(word, std::string_view("SIP/2.0").substr(0, word.size()))) return true;
  for (auto m = static_cast<uint8_t>(Method::invite); m <= static_cast<uint8_t>(Method::update); ++m)
    if (name_of(static_cast<Method>(m)).starts_with(word)) return true;
  return false;
}

}  // namespace sipalg::sip
