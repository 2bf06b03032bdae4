// SPDX-License-Identifier: GPL-2.0-or-later
// Where SDP stands in a body (RFC 2046 section 5.1, RFC 5621).
//
// How it works
//   A multipart body is read line by line; a line that is "--" and the boundary separates parts. Each part's own few headers
//   are read; one that is a multipart again is looked into, limits::multipart_depth deep. Linear in the body times that depth.
//   When anything about the structure is in doubt, no part is named.
#include <cstring>

#include "alg/sdp/session.h"

namespace sipalg::sdp {
namespace {

constexpr std::size_t longest_boundary = 70;  // RFC 2046 section 5.1.1

// The headers of the message or of one part, as far as they matter here.
struct BodyHeaders {
  std::string_view type;      // "" when there is none
  std::string_view encoding;  // Content-Encoding
  std::string_view transfer;  // Content-Transfer-Encoding
  Span content_length;
};

std::string_view trim(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return text.substr(text.size());
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string_view media_type(std::string_view content_type) noexcept {
  return trim(content_type.substr(0, content_type.find(';')));
}

bool begins_with(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// Cuts "; name = value" off `text`. False: no further parameter. Quotes stay in the value.
bool take_parameter(std::string_view& text, std::string_view& name, std::string_view& value) noexcept {
  const std::size_t semicolon = text.find(';');
  if (semicolon == std::string_view::npos) return false;
  text.remove_prefix(semicolon + 1);
  name = trim(text.substr(0, text.find_first_of("=;")));
  const std::size_t equals = text.find_first_of("=;");
  value = {};
  if (equals == std::string_view::npos || text[equals] == ';') return true;
  text = text.substr(equals + 1);
  const std::string_view trimmed = trim(text);
  const std::size_t end = trimmed.starts_with('"') ? trimmed.find('"', 1) : trimmed.find(';');
  value = trimmed.starts_with('"') && end != std::string_view::npos ? trimmed.substr(0, end + 1) : trim(trimmed.substr(0, end));
  text.remove_prefix(static_cast<std::size_t>(value.data() + value.size() - text.data()));
  return true;
}

// Without quotes; "" when there is none or it is longer than allowed. Escapes inside quotes do not occur in boundaries.
std::string_view find_boundary(std::string_view content_type) noexcept {
  std::string_view name, value;
  while (take_parameter(content_type, name, value)) {
    if (!equals_ignoring_case(name, "boundary")) continue;
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"')) value = value.substr(1, value.size() - 2);
    return value.size() <= longest_boundary ? value : std::string_view{};
  }
  return {};
}

bool is_identity(std::string_view encoding) noexcept { return encoding.empty() || equals_ignoring_case(encoding, "identity"); }

bool is_plain_transfer(std::string_view transfer) noexcept {
  return transfer.empty() || equals_ignoring_case(transfer, "7bit") || equals_ignoring_case(transfer, "8bit") ||
         equals_ignoring_case(transfer, "binary");
}

enum class Kind : uint8_t {
  other, sdp, multipart,
  closed,  // may hold SDP that is signed, enciphered or arranged in a way unknown to us
};

Kind kind_of(std::string_view type) noexcept {
  if (equals_ignoring_case(type, "application/sdp")) return Kind::sdp;
  if (equals_ignoring_case(type, "application/pkcs7-mime")) return Kind::closed;
  if (!begins_with(type, "multipart/")) return Kind::other;
  const std::string_view subtype = type.substr(type.find('/') + 1);
  const bool is_known = equals_ignoring_case(subtype, "mixed") || equals_ignoring_case(subtype, "alternative") ||
                        equals_ignoring_case(subtype, "related");
  return is_known ? Kind::multipart : Kind::closed;
}

enum class Delimiter : uint8_t { none, next, close };

Delimiter delimiter_of(std::string_view line, std::string_view boundary) noexcept {
  if (line.size() < boundary.size() + 2 || line[0] != '-' || line[1] != '-') return Delimiter::none;
  if (line.substr(2, boundary.size()) != boundary) return Delimiter::none;
  std::string_view rest = line.substr(boundary.size() + 2);
  const bool closes = rest.starts_with("--");
  if (closes) rest.remove_prefix(2);
  if (!trim(rest).empty()) return Delimiter::none;  // a longer boundary that begins with ours
  return closes ? Delimiter::close : Delimiter::next;
}

class Finder {
 public:
  Finder(std::string_view bytes, Parts& parts) noexcept : bytes_(bytes), parts_(parts) {}
  void look_into(const BodyHeaders& headers, Span body, std::size_t depth) noexcept;

 private:
  std::string_view line_at(uint32_t begin, uint32_t end) const noexcept;
  void look_into_multipart(std::string_view boundary, Span body, std::size_t depth) noexcept;
  void look_into_part(Span part, std::size_t depth) noexcept;
  void read_part_header(Span line, BodyHeaders& headers) const noexcept;
  void add(Span body, Span content_length) noexcept;

  std::string_view bytes_;
  Parts& parts_;
};

// With its line end; up to `end` when there is none.
std::string_view Finder::line_at(uint32_t begin, uint32_t end) const noexcept {
  const void* feed = std::memchr(bytes_.data() + begin, '\n', end - begin);
  if (feed == nullptr) return bytes_.substr(begin, end - begin);
  return bytes_.substr(begin, static_cast<std::size_t>(static_cast<const char*>(feed) - bytes_.data()) + 1 - begin);
}

void Finder::add(Span body, Span content_length) noexcept {
  if (!parts_.sdp.push({body, content_length})) parts_.malformed = true;
}

void Finder::look_into(const BodyHeaders& headers, Span body, std::size_t depth) noexcept {
  const std::string_view type = media_type(headers.type);
  const Kind kind = kind_of(type);
  if (kind == Kind::other) return;
  if (kind == Kind::closed || !is_identity(headers.encoding) || !is_plain_transfer(headers.transfer)) {
    parts_.opaque = true;
    return;
  }
  if (kind == Kind::sdp) return add(body, headers.content_length);
  if (headers.content_length.is_set()) {  // a multipart in a part that counts its bytes: nobody would mend that number
    parts_.opaque = true;
    return;
  }
  const std::string_view boundary = find_boundary(headers.type);
  if (boundary.empty() || depth == 0)
    parts_.malformed = true;
  else
    look_into_multipart(boundary, body, depth - 1);
}

// The line end before a delimiter belongs to the delimiter.
uint32_t without_line_end(std::string_view bytes, uint32_t begin, uint32_t end) noexcept {
  if (end > begin && bytes[end - 1] == '\n') --end;
  if (end > begin && bytes[end - 1] == '\r') --end;
  return end;
}

void Finder::look_into_multipart(std::string_view boundary, Span body, std::size_t depth) noexcept {
  uint32_t part = 0;  // 0: still in the preamble
  for (uint32_t at = body.begin; at < body.end;) {
    const std::string_view line = line_at(at, body.end);
    const Delimiter delimiter = delimiter_of(line, boundary);
    const auto behind = static_cast<uint32_t>(at + line.size());
    if (delimiter != Delimiter::none && part != 0) look_into_part({part, without_line_end(bytes_, part, at)}, depth);
    if (delimiter == Delimiter::close && part != 0) return;
    if (delimiter == Delimiter::next) part = behind;
    at = behind;
  }
  parts_.malformed = true;
}

void Finder::read_part_header(Span line, BodyHeaders& headers) const noexcept {
  const std::string_view text = line.in(bytes_);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = trim(text.substr(0, colon)), value = trim(text.substr(colon + 1));
  if (equals_ignoring_case(name, "content-type") || equals_ignoring_case(name, "c")) headers.type = value;
  if (equals_ignoring_case(name, "content-encoding") || equals_ignoring_case(name, "e")) headers.encoding = value;
  if (equals_ignoring_case(name, "content-transfer-encoding")) headers.transfer = value;
  if ((equals_ignoring_case(name, "content-length") || equals_ignoring_case(name, "l")) && parse_number(value)) {
    const auto begin = static_cast<uint32_t>(value.data() - bytes_.data());
    headers.content_length = {begin, begin + static_cast<uint32_t>(value.size())};
  }
}

// Headers up to a blank line, then the body. A part without a blank line has no body.
void Finder::look_into_part(Span part, std::size_t depth) noexcept {
  BodyHeaders headers;
  for (uint32_t at = part.begin; at < part.end;) {
    uint32_t behind = static_cast<uint32_t>(at + line_at(at, part.end).size());
    if (without_line_end(bytes_, at, behind) == at) return look_into(headers, {behind, part.end}, depth);
    while (behind < part.end && (bytes_[behind] == ' ' || bytes_[behind] == '\t'))
      behind += static_cast<uint32_t>(line_at(behind, part.end).size());
    read_part_header({at, behind}, headers);
    at = behind;
  }
}

}  // namespace

Parts find_parts(std::string_view bytes, const sip::Message& message) noexcept {
  Parts parts;
  if (message.body.empty()) return parts;
  if (message.is_unreadable(sip::Unreadable::content_type)) {
    parts.opaque = true;
    return parts;
  }
  if (message.content_type.in(bytes) == "application/sdp" && message.content_encoding.empty()) {  // the usual body
    parts.sdp.push({message.body, {}});
    return parts;
  }
  const BodyHeaders headers{message.content_type.in(bytes), message.content_encoding.in(bytes), {}, {}};
  Finder(bytes, parts).look_into(headers, message.body, limits::multipart_depth);
  if (parts.malformed) parts.sdp.clear();
  return parts;
}

}  // namespace sipalg::sdp
