// SPDX-License-Identifier: GPL-2.0-or-later
// Every bound of the project, named in one place. A bound that is reached means: refuse the new, keep the living.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sipalg::limits {

// --- what the scanners hold (a message with more passes unchanged, counted) ---
inline constexpr std::size_t vias = 72;  // Max-Forwards starts at 70
inline constexpr std::size_t contacts = 64;  // a 200 to REGISTER lists the bindings of all devices of an account, stale ones too
inline constexpr std::size_t record_routes = 16;
inline constexpr std::size_t routes = 16;
inline constexpr std::size_t paths = 8;
inline constexpr std::size_t service_routes = 8;
inline constexpr std::size_t header_lines = 256;
inline constexpr std::size_t body_parts = 8;  // multipart (RFC 5621)
inline constexpr std::size_t multipart_depth = 3;  // a multipart in a part of a multipart...
inline constexpr std::size_t media_lines = 32;
inline constexpr std::size_t candidates = 256;  // a=candidate of one body (RFC 8839)
inline constexpr std::size_t edits = 512;
inline constexpr std::size_t call_id_bytes = 256;
inline constexpr std::size_t tag_bytes = 512;  // RFC 4475 section 3.1.1.7 has one of 444
inline constexpr std::size_t branch_bytes = 512;

// --- the guard before sofia-sip (parser-facts: worst case 1 ms behind it) ---
inline constexpr std::size_t guard_header_lines = 128;
inline constexpr std::size_t guard_commas = 256;
inline constexpr std::size_t guard_header_bytes = 16 * 1024;

// --- tables ---
inline constexpr std::size_t transactions = 262'144;
inline constexpr std::size_t dialogs = 131'072;
inline constexpr std::size_t ended_transactions = 16'384;  // of both: those that only wait for late copies of their messages;
inline constexpr std::size_t ended_dialogs = 16'384;       // so many are found in the processor's cache
inline constexpr std::size_t transactions_per_host = transactions / 2;  // of one inside host: nobody keeps all others from calling
inline constexpr std::size_t registrations = 65'536;
inline constexpr std::size_t beyond_nat = 64;              // remotes that show a network to be outside, until somebody looks
inline constexpr std::size_t doors = 524'288;
inline constexpr std::size_t doors_per_dialog = 128;
inline constexpr std::size_t dialogs_per_call = 128;       // branches of a fork
inline constexpr std::size_t legs_per_call = 128;          // of one inside host with one Call-ID: each INVITE with another From tag
inline constexpr std::size_t givens = 256;                 // texts that a record remembers; beyond, the oldest go
inline constexpr std::size_t bodies_per_transaction = 128;  // SDPs that differ: an offer, and answers of its branches
inline constexpr std::size_t doors_per_inside_host = 16'384;
inline constexpr std::size_t service_ports = 16;  // of one protocol
inline constexpr std::size_t shown_uri_bytes = 256;  // of From and To, kept for `show calls`
inline constexpr std::size_t ended_at_once = 64;  // records whose time is over, before packets get their turn again

// --- SIP over TCP ---
inline constexpr std::size_t streams = 32'768;                    // connections that are followed
inline constexpr std::size_t streams_per_host = streams / 2;      // that one host has opened
inline constexpr std::size_t stream_message_bytes = 65'536;       // what of one message is held: its head, its SDP
inline constexpr std::size_t stream_first_line_bytes = 8192;      // until then it must show whether it is SIP
inline constexpr std::size_t stream_disordered_bytes = 131'072;   // of one direction, behind a gap
inline constexpr std::size_t stream_kept_bytes = 262'144;         // of one direction: edited or taken over, not acknowledged; as it came
inline constexpr std::size_t stream_held_bytes = 64 * 1024 * 1024;  // all of that, of all connections
inline constexpr std::size_t stream_held_bytes_per_host = stream_held_bytes / 8;  // of the connections a host has opened
inline constexpr std::size_t stream_held_packets = 48;            // of one direction; the kernel holds them for us
inline constexpr std::size_t stream_waiting_packets = 4096;       // of all connections: half of what the kernel's queue takes
inline constexpr std::size_t stream_waiting_packets_per_host = stream_waiting_packets / 8;
inline constexpr uint16_t stream_headroom = 120;                  // taken from the MSS, so that an edited segment fits the MTU
inline constexpr uint16_t stream_lowest_mss = 256;
inline constexpr uint16_t stream_sure_payload = 512;             // of a segment that every path takes (576 bytes: RFC 791)

// --- times (RFC 3261 table 4: T1 = 500 ms) ---
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
inline constexpr milliseconds t1{500};
inline constexpr milliseconds transaction_end = 64 * t1;      // 32 s
inline constexpr milliseconds response_linger = seconds{5};   // after a final response to other than INVITE
inline constexpr milliseconds ringing = seconds{180};         // RFC 3261 section 16.6 step 11: timer C
inline constexpr seconds ringing_longest = hours{1};          // an INVITE's Expires, from the last 1xx on
inline constexpr milliseconds call_idle = hours{1};
inline constexpr milliseconds call_idle_held = hours{24};
inline constexpr std::chrono::duration<uint32_t> registration_default{3600};  // when nobody says how long
inline constexpr milliseconds registration_longest = hours{24 * 7};
inline constexpr seconds subscription_longest = hours{24 * 7};
inline constexpr milliseconds stream_stall{20};               // an incomplete message stands still: kernel-facts section 4
inline constexpr milliseconds stream_longest_stall{100};       // ... or goes on in small pieces: its sender repeats after 200 ms, most do
inline constexpr milliseconds stream_first_line = seconds{2};  // of a connection: so long it may leave open whether it is SIP
inline constexpr milliseconds stream_hold = seconds{10};      // an incomplete message leaves unchanged
inline constexpr milliseconds stream_resend{200};             // bytes taken over, sent and not acknowledged
inline constexpr milliseconds stream_opening = seconds{30};   // a SYN that is repeated later is a first one again
inline constexpr milliseconds stream_closing = seconds{120};  // as conntrack's TIME_WAIT
inline constexpr milliseconds stream_idle = hours{24 * 5};    // as conntrack's ESTABLISHED
inline constexpr milliseconds stream_silence = minutes{124};  // then conntrack is asked: a NAT forgets none earlier (RFC 5382 REQ-5)
inline constexpr milliseconds port_rest = seconds{120};       // RFC 6888 REQ-8
inline constexpr milliseconds kernel_lease = seconds{180};
inline constexpr milliseconds kernel_refresh = seconds{60};

inline constexpr uint16_t lowest_port = 1024;

}  // namespace sipalg::limits
