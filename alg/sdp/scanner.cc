// SPDX-License-Identifier: GPL-2.0-or-later
// Reads an SDP body line by line.
//
// How it works
//   Each line is "letter=value"; o=, c=, m= and a= are handed to their own files, the rest is passed over. c= and a= belong to the
//   m= line before them, or to the session. What would leave an endpoint open (a c= or m= that can not be read, two session
//   c= lines) fails the body; an o= that can not be read only stays unset: endpoints hardly read it.
#include <cstring>

#include "alg/sdp/attribute.h"
#include "alg/sdp/connection.h"
#include "alg/sdp/media.h"

namespace sipalg::sdp {
namespace {

void reset(Session& s) noexcept {
  s.body = s.origin_line = {};
  s.origin = s.connection = {};
  s.media.clear();
  s.candidates.clear();
  s.alternatives.clear();
  s.direction.reset();
  s.setup = Setup::none;
}

class Scanner {
 public:
  explicit Scanner(Session& session) noexcept : s_(session) {}
  std::optional<ScanError> read_line(LineCursor line) noexcept;
  bool has_version() const { return has_version_; }

 private:
  std::optional<ScanError> read_origin(LineCursor line) noexcept;
  std::optional<ScanError> read_connection_line(LineCursor line) noexcept;
  std::optional<ScanError> read_media(LineCursor line) noexcept;

  Session& s_;
  Media* media_ = nullptr;  // the last one; none before the first m=
  bool has_version_ = false;
};

// The user name may hold blanks in real messages: the three fields that matter are taken from the end.
std::optional<ScanError> Scanner::read_origin(LineCursor line) noexcept {
  if (s_.origin_line.is_set()) return ScanError::bad_origin;
  s_.origin_line = {line.offset() - 2, line.offset() + static_cast<uint32_t>(line.rest().size())};
  const Word address = line.last(), addrtype = line.last(), nettype = line.last();
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
    case 'a': return read_attribute(line, s_, media_);
    default: return std::nullopt;
  }
}

// Cuts the next line off `text`: without its line end.
std::string_view take_line(std::string_view& text) noexcept {
  const void* feed = std::memchr(text.data(), '\n', text.size());
  const auto size = feed == nullptr ? text.size() : static_cast<std::size_t>(static_cast<const char*>(feed) - text.data());
  std::string_view line = text.substr(0, size);
  text.remove_prefix(feed == nullptr ? size : size + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool has_forbidden_byte(std::string_view line) noexcept {
  return std::memchr(line.data(), '\r', line.size()) != nullptr;
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
  std::string_view rest = body.in(message);
  if (!rest.empty() && std::memchr(rest.data(), '\0', rest.size()) != nullptr)
    return std::unexpected(ScanFailure{ScanError::bad_line, body.begin});
  Scanner scanner(session);
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    if (line.empty()) continue;  // blank lines, at the end above all, are common
    const auto offset = static_cast<uint32_t>(line.data() - message.data());
    auto error = has_forbidden_byte(line) ? std::optional(ScanError::bad_line) : std::nullopt;
    if (!error) error = scanner.read_line({message.data(), line.data(), line.data() + line.size()});
    if (error) return std::unexpected(ScanFailure{*error, offset});
  }
  if (!scanner.has_version()) return std::unexpected(ScanFailure{ScanError::empty, body.begin});
  return {};
}

}  // namespace sipalg::sdp
