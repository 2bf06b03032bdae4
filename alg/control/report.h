// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon tells of its state: plain values, ready for text and JSON.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "alg/base/endpoint.h"

namespace sipalg::report {

// Durations are milliseconds.
struct Door {
  uint64_t id = 0;
  std::string purpose;   // "contact", "via", "route", "rtp", "rtcp", "media", "way-out"
  Protocol protocol = Protocol::udp;
  Endpoint inside, outside;  // way-out: inside host, remote endpoint
  std::string scope;         // "any", "203.0.113.2", "198.51.100.0/24"
  uint32_t owners = 0;
  bool in_kernel = false;    // false: the flow's own conntrack carries it, or it is reserved
  std::optional<int64_t> remaining;  // until its last owner lets go, when that is known
};

struct Stream {  // one media line of a call
  uint32_t line = 0;
  std::string kind;      // "audio"
  Endpoint inside, outside;
  std::optional<Endpoint> remote;
  std::string direction;  // sendrecv, sendonly, ...; "off" for port 0
};

struct Call {
  std::string call_id, inside_tag, outside_tag;  // escaped
  Address inside_host;
  std::string direction;  // "outgoing", "incoming"
  std::string state;      // "trying", "early", "confirmed", "ending", "ended"
  std::string from, to;   // URIs, escaped
  int64_t age = 0;
  int64_t idle = 0;       // since its last SIP message
  std::optional<int64_t> remaining;
  bool held = false;
  std::vector<Stream> streams;
  std::vector<uint64_t> doors;
};

struct Registration {  // accepted by its registrar
  std::string aor, contact;  // escaped
  Endpoint inside, outside;
  Address registrar;
  int64_t remaining = 0;
};

struct End {  // of a connection: as the inside sees it, and as the outside does
  Endpoint inside, outside;
};

struct Connection {  // followed, over TCP
  End opener, answerer;
  uint16_t zone = 0;         // conntrack's
  std::string state;         // "opening", "open", "closing"
  bool reads_opener = false, reads_answerer = false;  // its messages are read; false: what it sends passes unread
  bool resized = false;      // lengths were changed: without sipalgd it can not go on
  std::size_t held_segments = 0, held_bytes = 0;
  int64_t idle = 0;
};

struct ServiceLine {  // one protocol: what holds now, and what the configuration file says
  Protocol protocol = Protocol::udp;
  bool on = true;
  std::vector<uint16_t> ports, draining;  // draining: not in service any more, but calls or registrations go on there
  std::size_t endpoints = 0;              // steered beside the ports, because doors brought them
  bool file_on = true;
  std::vector<uint16_t> file_ports;
};

struct Totals {
  uint64_t transactions = 0, calls = 0, subscriptions = 0, dialogs = 0, registrations = 0, doors = 0, kernel_doors = 0;
};

}  // namespace sipalg::report
