// SPDX-License-Identifier: GPL-2.0-or-later
// a= lines. Attribute names are case-sensitive (RFC 8866 section 5.13).
#include "alg/sdp/attribute.h"

#include "alg/sdp/candidate.h"
#include "alg/sdp/connection.h"

namespace sipalg::sdp {
namespace {

std::optional<Direction> direction_of(std::string_view name) noexcept {
  if (name == "sendrecv") return Direction::sendrecv;
  if (name == "sendonly") return Direction::sendonly;
  if (name == "recvonly") return Direction::recvonly;
  if (name == "inactive") return Direction::inactive;
  return std::nullopt;
}

Setup setup_of(std::string_view value) noexcept {
  if (value == "active") return Setup::active;
  if (value == "passive") return Setup::passive;
  if (value == "actpass") return Setup::actpass;
  if (value == "holdconn") return Setup::holdconn;
  return Setup::none;
}

// port [nettype addrtype address] (RFC 3605 section 2.1)
bool parse_rtcp(LineCursor line, Rtcp& rtcp) noexcept {
  const Word port = line.next();
  const auto number = parse_number(port.text, 65'535);
  if (!number) return false;
  rtcp.port = port.span;
  rtcp.port_number = static_cast<uint16_t>(*number);
  const Word nettype = line.next();
  if (nettype.empty()) return true;
  const Word addrtype = line.next();
  return read_connection(nettype, addrtype, line.next(), rtcp.connection);
}

void read_property(std::string_view name, Session& session, Media* media) noexcept {
  if (const auto direction = direction_of(name)) (media != nullptr ? media->direction : session.direction) = direction;
  if (media == nullptr) return;
  if (name == "rtcp-mux") media->rtcp_mux = true;
  if (name == "rtcp-mux-only") media->rtcp_mux_only = true;
}

// A second a=rtcp would leave open which one holds.
std::optional<ScanError> read_rtcp(LineCursor line, Media& media) noexcept {
  if (media.rtcp.port.is_set() || !parse_rtcp(line, media.rtcp)) return ScanError::bad_attribute;
  return std::nullopt;
}

std::optional<ScanError> read_value(std::string_view name, LineCursor value, Session& session, Media* media) noexcept {
  if (name == "setup") (media != nullptr ? media->setup : session.setup) = setup_of(value.next().text);
  if (media == nullptr) return std::nullopt;
  if (name == "rtcp") return read_rtcp(value, *media);
  const bool fits = name == "candidate"           ? read_candidate(value, session)
                    : name == "remote-candidates" ? read_remote_candidates(value, session)
                    : name == "altc"              ? read_altc(value, session)
                    : name == "path"              ? read_path(value, session)
                                                  : true;
  return fits ? std::nullopt : std::optional(ScanError::too_many);
}

}  // namespace

std::optional<ScanError> read_attribute(LineCursor line, Session& session, Media* media) noexcept {
  const char* name = line.at;
  while (line.at != line.end && *line.at != ':' && !LineCursor::is_space(*line.at)) ++line.at;
  const std::string_view text{name, static_cast<std::size_t>(line.at - name)};
  if (line.at == line.end || *line.at != ':') {
    read_property(text, session, media);
    return std::nullopt;
  }
  ++line.at;
  return read_value(text, line, session, media);
}

}  // namespace sipalg::sdp
