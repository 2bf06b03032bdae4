// SPDX-License-Identifier: GPL-2.0-or-later
// Request-Line and Status-Line.
#include "alg/sip/first_line.h"

#include "alg/sip/method.h"
#include "alg/sip/uri.h"

namespace sipalg::sip {
namespace {

constexpr std::string_view version = "SIP/2.0";

ScanFailure fail(ScanError error, const Cursor& cursor) noexcept { return {error, cursor.offset()}; }

bool is_status_line(std::string_view line) noexcept {
  if (line.starts_with("SIP/2.0 ")) return true;
  return line.size() > version.size() && line[version.size()] == ' ' &&
         equals_ignoring_case(line.substr(0, version.size()), version);
}

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

void trim_end(std::string_view& text) noexcept {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
}

// Cuts " SIP/2.0" off the end of a request line.
bool take_version(std::string_view& line) noexcept {
  constexpr std::string_view usual = " SIP/2.0";
  if (line.ends_with(usual) && line.size() > usual.size() && !is_blank(line[line.size() - usual.size() - 1])) {
    line.remove_suffix(usual.size());
    return true;
  }
  trim_end(line);
  if (line.size() <= version.size() || !equals_ignoring_case(line.substr(line.size() - version.size()), version))
    return false;
  line.remove_suffix(version.size());
  if (line.back() != ' ') return false;
  trim_end(line);
  return true;
}

// Blanks before the port: all that parse_uri() takes although it must not stand in a URI.
bool has_gap(const HostPort& host) noexcept { return host.port.is_set() && host.port.begin > host.host.end + 1; }

std::optional<ScanFailure> parse_status_line(Cursor line, Message& message) noexcept {
  line.at += version.size();
  line.skip_blanks();
  const char* begin = line.at;
  while (!line.done() && is_digit(*line.at)) ++line.at;
  const auto status = parse_number(line.text_since(begin), 699);
  if (!status || *status < 100 || line.at - begin != 3 || (!line.done() && *line.at != ' '))
    return fail(ScanError::not_sip, line);
  message.status = static_cast<uint16_t>(*status);
  return std::nullopt;
}

std::optional<ScanFailure> parse_request_line(Cursor line, Message& message) noexcept {
  const char* begin = line.at;
  line.skip(token);
  if (line.at == begin || !line.is_at(' ')) return fail(ScanError::not_sip, line);
  message.is_request = true;
  message.method_text = line.since(begin);
  message.method = method_of(line.text_since(begin));
  line.skip_blanks();
  std::string_view rest = line.rest();
  if (!take_version(rest)) return fail(ScanError::not_sip, line);
  const Cursor uri = line.with_end(line.at + rest.size());
  Cursor inside = uri;
  const bool is_readable = parse_uri(inside, message.request_uri);
  if (is_readable && !has_gap(message.request_uri.host)) return std::nullopt;
  Cursor blank_inside = uri;
  blank_inside.leap_until(never_in_uri);
  if (uri.done() || !blank_inside.done()) return fail(ScanError::bad_uri, blank_inside);
  if (!is_readable) message.mark_unreadable(Unreadable::request_uri);
  return std::nullopt;
}

}  // namespace

bool is_first_line(std::string_view line) noexcept {
  if (is_status_line(line)) return true;
  const std::size_t method_end = line.find(' ');
  if (method_end == 0 || method_end == std::string_view::npos) return false;
  for (char c : line.substr(0, method_end))
    if (!is_in(c, token)) return false;
  return take_version(line) && line.size() > method_end;
}

std::optional<ScanFailure> parse_first_line(const Cursor& line, Message& message) noexcept {
  message.first_line = {line.offset(), line.offset() + static_cast<uint32_t>(line.rest().size())};
  return is_status_line(line.rest()) ? parse_status_line(line, message) : parse_request_line(line, message);
}

}  // namespace sipalg::sip
