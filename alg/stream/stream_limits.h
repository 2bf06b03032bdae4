// SPDX-License-Identifier: GPL-2.0-or-later
// The bounds of the stream room, as values: tests make them small.
#pragma once
#include "alg/base/limits.h"

namespace sipalg {

struct StreamLimits {
  std::size_t connections = limits::streams;
  std::size_t connections_per_host = limits::streams_per_host;
  std::size_t message_bytes = limits::stream_message_bytes;     // head and held body of one message
  std::size_t disordered_bytes = limits::stream_disordered_bytes;  // of one direction, behind a gap
  std::size_t kept_bytes = limits::stream_kept_bytes;           // of one direction: decided, not acknowledged
  std::size_t held_bytes = limits::stream_held_bytes;           // of all connections together
  std::size_t held_bytes_per_host = limits::stream_held_bytes_per_host;
  std::size_t held_packets = limits::stream_held_packets;       // of one direction
  std::size_t waiting_packets = limits::stream_waiting_packets;  // of all connections together
  std::size_t waiting_packets_per_host = limits::stream_waiting_packets_per_host;
  limits::milliseconds stall = limits::stream_stall;
  limits::milliseconds longest_stall = limits::stream_longest_stall;
  limits::milliseconds first_line = limits::stream_first_line;
  limits::milliseconds hold = limits::stream_hold;
  limits::milliseconds resend = limits::stream_resend;
  limits::milliseconds opening = limits::stream_opening;
  limits::milliseconds closing = limits::stream_closing;
  limits::milliseconds idle = limits::stream_idle;
  limits::milliseconds silence = limits::stream_silence;
};

}  // namespace sipalg
