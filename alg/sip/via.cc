// SPDX-License-Identifier: GPL-2.0-or-later
// via-parm.
#include "alg/sip/via.h"

#include "alg/sip/host_port.h"
#include "alg/sip/parameter.h"

namespace sipalg::sip {
namespace {

std::string_view take_token(Cursor& cursor) noexcept {
  const char* begin = cursor.at;
  cursor.skip(token);
  return cursor.text_since(begin);
}

bool take_slash(Cursor& cursor) noexcept {
  cursor.skip_blanks();
  if (!cursor.take('/')) return false;
  cursor.skip_blanks();
  return true;
}

Transport transport_of(std::string_view text) noexcept {
  if (is_word<"udp">(text)) return Transport::udp;
  if (is_word<"tcp">(text)) return Transport::tcp;
  if (is_word<"tls">(text)) return Transport::tls;
  return Transport::other;
}

// "SIP" SLASH "2.0" SLASH transport LWS
bool parse_protocol(Cursor& cursor, Via& via) noexcept {
  constexpr std::string_view usual = "SIP/2.0/UDP ";
  if (cursor.rest().starts_with(usual)) {
    cursor.at += usual.size();
    cursor.skip_blanks();
    via.transport = Transport::udp;
    return true;
  }
  if (!equals_ignoring_case(take_token(cursor), "SIP") || !take_slash(cursor)) return false;
  if (take_token(cursor) != "2.0" || !take_slash(cursor)) return false;
  const std::string_view transport = take_token(cursor);
  if (transport.empty() || cursor.done() || !is_in(*cursor.at, blank)) return false;
  via.transport = transport_of(transport);
  cursor.skip_blanks();
  return true;
}

// host [ COLON port ], white space allowed around the colon
bool parse_sent_by(Cursor& cursor, Via& via) noexcept {
  if (!parse_host(cursor, via.sent_by)) return false;
  const char* behind_host = cursor.at;
  cursor.skip_blanks();
  if (cursor.take(':')) return parse_port(cursor, via.sent_by);
  cursor.at = behind_host;
  return true;
}

void note_rport(const Cursor& cursor, const Parameter& parameter, Via& via) noexcept {
  via.has_rport = true;
  if (parameter.value.empty()) return;
  via.rport = cursor.span_of(parameter.value);
  if (const auto number = parse_number(parameter.value, 65'535)) via.rport_number = static_cast<uint16_t>(*number);
}

// False: a second branch or maddr. Which one holds would be a matter of taste.
bool note_parameter(const Cursor& cursor, const Parameter& parameter, Via& via) noexcept {
  const std::string_view name = parameter.name;
  if (is_word<"branch">(name)) {
    if (via.branch.is_set()) return false;
    via.branch = cursor.span_of(parameter.value);
  } else if (is_word<"rport">(name)) {
    if (!via.has_rport) note_rport(cursor, parameter, via);
  } else if (is_word<"maddr">(name)) {
    if (via.maddr.host.is_set()) return false;
    read_host(parameter.value, cursor.span_of(parameter.value), via.maddr);
  } else if (!via.received.host.is_set() && is_word<"received">(name)) {
    read_host(parameter.value, cursor.span_of(parameter.value), via.received);
  }
  return true;
}

// RFC 2543 allowed "(comment)" at the end of a Via; the elements that wrote it are still around.
bool skip_comment(Cursor& cursor) noexcept {
  while (!cursor.done() && *cursor.at != ')') cursor.at += *cursor.at == '\\' && cursor.end - cursor.at > 1 ? 2 : 1;
  return cursor.take(')');
}

}  // namespace

bool parse_via(Cursor& cursor, Via& via) noexcept {
  const char* begin = cursor.at;
  if (!parse_protocol(cursor, via) || !parse_sent_by(cursor, via)) return false;
  via.value = cursor.since(begin);
  while (cursor.take_behind_blanks(';')) {
    Parameter parameter;
    if (!read_parameter(cursor, parameter) || !note_parameter(cursor, parameter, via)) return false;
    via.value = cursor.since(begin);
  }
  if (cursor.take('(') && !skip_comment(cursor)) return false;
  cursor.skip_blanks();
  return cursor.done() || *cursor.at == ',';
}

}  // namespace sipalg::sip
