// SPDX-License-Identifier: GPL-2.0-or-later
// An SDP body (RFC 8866) as spans over the message it stands in.
//
//     o=- 1 1 IN IP4 10.0.0.2        origin
//     c=IN IP4 10.0.0.2              connection (session)
//     m=audio 4000 RTP/AVP 0         media[0]: port, transport
//     c=IN IP4 10.0.0.3              media[0].connections[0]
//     a=rtcp:4001 IN IP4 10.0.0.3    media[0].rtcp
#pragma once
#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "alg/base/endpoint.h"
#include "alg/base/limits.h"
#include "alg/base/text.h"
#include "alg/sip/message.h"

namespace sipalg::sdp {

using sip::List;

// "IN IP4 10.0.0.2": where the address stands. A TTL or count behind '/' is not part of it.
struct Connection {
  Span address_text;
  std::optional<Address> address;  // literal; nothing for a name
};

// a=rtcp:PORT [IN IP4 ADDRESS]  (RFC 3605)
struct Rtcp {
  Span port;  // unset: no such line
  uint16_t port_number = 0;
  Connection connection;  // address_text unset when absent
};

// a=candidate:... (RFC 8839 section 5.1) or one entry of a=remote-candidates
struct Candidate {
  uint8_t media = 0;      // index of its media line
  bool is_remote = false; // from a=remote-candidates
  bool is_tcp = false;    // RFC 6544; a=remote-candidates does not tell
  Span address_text, port;
  std::optional<Address> address;
  uint16_t port_number = 0;
};

// a=altc:1 IP4 10.0.0.2 4000 (RFC 6947) and a=path:msrp://10.0.0.2:4000/x;tcp (RFC 4975, first URI): the same endpoint again.
struct Alternative {
  uint8_t media = 0;
  bool is_msrp_path = false;
  Span address_text, port;
  std::optional<Address> address;
  uint16_t port_number = 0;
};

enum class MediaTransport : uint8_t {
  rtp,        // RTP/AVP, AVPF, SAVP, SAVPF, and UDP/TLS/RTP/...: RTCP comes along
  udp,        // udp, udptl, UDP/BFCP, UDP/DTLS/SCTP, DTLS/SCTP, UDP/TLS/...: one port
  tcp,        // TCP/..., TCP
  unknown,
};
enum class Direction : uint8_t { sendrecv, sendonly, recvonly, inactive };
enum class Setup : uint8_t { none, active, passive, actpass, holdconn };

struct Media {
  Span line;                // whole m= line without line end
  Span kind;                // "audio"
  Span port;
  uint32_t port_number = 0; // as written; may be 0 or beyond 65535
  uint32_t count = 1;       // port/n
  MediaTransport transport = MediaTransport::unknown;
  List<Connection, 4> connections;  // its own c= lines; empty: the session's holds
  Rtcp rtcp;
  bool rtcp_mux = false, rtcp_mux_only = false;
  std::optional<Direction> direction;  // its own; else the session's
  Setup setup = Setup::none;
};

struct Session {
  Span body;  // of the part that was scanned
  Connection origin;       // o=
  Span origin_line;
  Connection connection;   // session c=; address_text unset when absent
  List<Media, limits::media_lines> media;
  List<Candidate, limits::candidates> candidates;
  List<Alternative, limits::media_lines> alternatives;
  std::optional<Direction> direction;
  Setup setup = Setup::none;
};

enum class ScanError : uint8_t { empty, no_version, bad_line, bad_origin, bad_connection, bad_media, bad_attribute, too_many };
std::string_view name_of(ScanError error);
struct ScanFailure {
  ScanError error;
  uint32_t offset;
};

// `message` is the whole SIP message, `body` the SDP in it; spans are offsets into `message`. Fills `session` (reused).
// Linear, no allocation. Line ends CRLF, LF, or CR alone is an error; unknown lines and attributes are passed over.
std::expected<void, ScanFailure> scan(std::string_view message, Span body, Session& session) noexcept;

// Where SDP stands in the body of a message: the whole body for application/sdp, each application/sdp part of
// multipart/mixed, /alternative, /related (RFC 5621). `opaque`: a body that may hold SDP but must not be touched
// (Content-Encoding, multipart/signed, a part with a transfer encoding other than 7bit, 8bit, binary).
// Parts carry the span of their own Content-Length digits when they have such a line.
struct Part {
  Span body;
  Span content_length;  // of the part; unset when it has none
};
struct Parts {
  List<Part, limits::body_parts> sdp;
  bool opaque = false;
  bool malformed = false;  // a multipart whose boundary is missing or never closes
};
Parts find_parts(std::string_view bytes, const sip::Message& message) noexcept;

}  // namespace sipalg::sdp
