// SPDX-License-Identifier: GPL-2.0-or-later
// Reads an SDP body line by line.
//
// How it works
//   Each line is "letter=value"; o=, c=, m= and a= are handed to their own files, the rest is passed over. c= and a= belong to the
//   m= line before them, or to the session. What would leave an endpoint open (a c= or m= that can not be read, two session
//   c= lines) fails the body; an o= that can not be read only stays unset: endpoints hardly read it. A NUL fails it too, and so
//   does a CR inside a line.
#include <cstring>

#include "alg/base/lines.h"
#include "alg/sdp/attribute.h"
#include "alg/sdp/connection.h"
#include "alg/sdp/media.h"

namespace sipalg::sdp {
namespace {

void reset(Session& s) noexcept {
  s.body = s.origin_line = {};
  make_new(s.origin), make_new(s.connection);
  s.media.clear();
  s.candidates.clear();
  s.alternatives.clear();
  s.direction.reset();
  s.setup = Setup::none;
}

class Scanner {
 public:
  Scanner(const char* message, Session& session) noexcept : message_(message), s_(session) {}
  // Both return whether to go on.
  bool take_line(const char* first, const char* end) noexcept;
  bool take_odd_byte(const char* at) noexcept;
  bool has_failed() const { return failure_.has_value(); }
  ScanFailure failure() const { return *failure_; }
  bool is_whole() const { return has_version_ && !failure_ && !has_nul_; }

 private:
  std::optional<ScanError> read_line(LineCursor line) noexcept;
  std::optional<ScanError> read_origin(LineCursor line) noexcept;
  std::optional<ScanError> read_connection_line(LineCursor line) noexcept;
  std::optional<ScanError> read_media(LineCursor line) noexcept;

  const char* message_;
  Session& s_;
  Media* media_ = nullptr;  // the last one; none before the first m=
  const char* bare_cr_ = nullptr;  // the first one: its line fails
  bool has_version_ = false, has_nul_ = false;
  std::optional<ScanFailure> failure_;
};

// The user name may hold blanks in real messages: the three fields that matter are taken from the end.
std::optional<ScanError> Scanner::read_origin(LineCursor line) noexcept {
  if (s_.origin_line.is_set()) return ScanError::bad_origin;
  s_.origin_line = {line.offset() - 2, line.offset() + static_cast<uint32_t>(line.rest().size())};
  const Word address = line.last();
  if (line.rest().ends_with(" IN IP4 ")) {
    if (!read_internet_address(address, s_.origin)) s_.origin = {};
    return std::nullopt;
  }
  const Word addrtype = line.last(), nettype = line.last();
  Connection origin;
  if (equals_ignoring_case(nettype.text, "IN") && read_connection(nettype, addrtype, address, origin)) s_.origin = origin;
  return std::nullopt;
}

std::optional<ScanError> Scanner::read_connection_line(LineCursor line) noexcept {
  Connection connection;
  if (!parse_connection(line, connection)) return ScanError::bad_connection;
  if (media_ != nullptr) return media_->connections.push(connection) ? std::nullopt : std::optional(ScanError::too_many);
  if (s_.connection.address_text.is_set()) return ScanError::bad_connection;
  s_.connection = connection;
  return std::nullopt;
}

std::optional<ScanError> Scanner::read_media(LineCursor line) noexcept {
  media_ = s_.media.append();
  if (media_ == nullptr) return ScanError::too_many;
  if (!parse_media(line, *media_)) return ScanError::bad_media;
  return std::nullopt;
}

std::optional<ScanError> Scanner::read_line(LineCursor line) noexcept {
  if (line.end - line.at < 2 || line.at[1] != '=') return ScanError::bad_line;
  const char type = *line.at;
  line.at += 2;
  if (!has_version_ && type != 'v') return ScanError::no_version;
  switch (type) {
    case 'v': has_version_ = true; return std::nullopt;
    case 'o': return read_origin(line);
    case 'c': return read_connection_line(line);
    case 'm': return read_media(line);
    case 'a': return may_have_meaning(line.rest()) ? read_attribute(line, s_, media_) : std::nullopt;
    default: return std::nullopt;
  }
}

bool Scanner::take_odd_byte(const char* at) noexcept {
  if (*at == '\r' && bare_cr_ == nullptr) bare_cr_ = at;
  has_nul_ |= *at == '\0';
  return !has_nul_;
}

// Blank lines, at the end above all, are common.
bool Scanner::take_line(const char* first, const char* end) noexcept {
  if (first == end) return true;
  const bool has_cr = bare_cr_ != nullptr && bare_cr_ < end;
  const auto error = has_cr ? std::optional(ScanError::bad_line) : read_line({message_, first, end});
  if (error) failure_ = ScanFailure{*error, static_cast<uint32_t>(first - message_)};
  return !error;
}

}  // namespace

std::string_view name_of(ScanError error) {
  switch (error) {
    case ScanError::empty: return "empty";
    case ScanError::no_version: return "no-version";
    case ScanError::bad_line: return "bad-line";
    case ScanError::bad_origin: return "bad-origin";
    case ScanError::bad_connection: return "bad-connection";
    case ScanError::bad_media: return "bad-media";
    case ScanError::bad_attribute: return "bad-attribute";
    case ScanError::too_many: return "too-many";
  }
  return "unknown";
}

std::expected<void, ScanFailure> scan(std::string_view message, Span body, Session& session) noexcept {
  reset(session);
  session.body = body;
  const std::string_view text = body.in(message);
  Scanner scanner(message.data(), session);
  const char* const end = text.data() + text.size();
  const auto on_line = [&scanner](const char* first, const char* line_end, const char*) { return scanner.take_line(first, line_end); };
  const char* last = walk_lines(text, on_line, [&scanner](const char* at) { return scanner.take_odd_byte(at); });
  // a last line without LF
  if (last != end && !scanner.has_failed()) scanner.take_line(last, end[-1] == '\r' ? end - 1 : end);
  if (scanner.is_whole()) return {};
  // a NUL speaks against the body as a whole, wherever it stands
  if (!text.empty() && std::memchr(text.data(), '\0', text.size()) != nullptr)
    return std::unexpected(ScanFailure{ScanError::bad_line, body.begin});
  return std::unexpected(scanner.has_failed() ? scanner.failure() : ScanFailure{ScanError::empty, body.begin});
}

}  // namespace sipalg::sdp
