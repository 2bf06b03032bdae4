// SPDX-License-Identifier: GPL-2.0-or-later
// Everything the daemon counts. Plain numbers, one writer: each worker has its own, whoever asks adds them up.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "alg/sip/message.h"

namespace sipalg {

// Why a packet, or one group of its edits (the header fields; an SDP body), left as it came, or what else befell it.
enum class Reason : uint8_t {
  edited,                  // not a reason to pass: at least one edit was made
  nothing_to_edit,         // understood, followed, no field needs another text
  service_off,             // `service off`, or this protocol is switched off
  router_own,              // sent by the router itself
  nobody_inside,           // neither end of the flow is inside
  unknown_flow,            // the packet's header is no inverse of a conntrack tuple (stateless NAT, conntrack off)
  keepalive,               // CRLF, NULs or nothing
  not_sip,                 // first line is no SIP
  malformed,               // SIP, but the scanner refused it; by kind in Stats::scan_errors
  fragment,                // a fragment that was not reassembled
  transaction_untouched,   // the first message of this transaction passed unchanged, so do all of it
  no_record,               // ACK or CANCEL without its INVITE, response without its request
  media_endpoint,          // a request to an endpoint of media: nobody asked for it there
  // from here on: of groups
  header_unreadable,       // a Contact, Record-Route, Route... value the scanner could not read
  opinions_differ,         // scanner and sofia-sip see different endpoints
  opinion_unreadable,      // sofia-sip did not read a field a door comes from
  third_party,             // names another host; the policy does not allow it (sip-rules section 7)
  low_port,                // a door to a port below 1024 was asked for
  kernel_refused,          // the kernel did not make a door
  expectations_full,       // ... because nf_conntrack_expect_max is reached
  ports_exhausted,         // no free outside port
  table_full,              // a bound of limits.h
  too_big,                 // it came larger than a queue can show, or would leave larger than the way out can carry
  too_many_edits,
  body_encoded,            // Content-Encoding, multipart/signed, qop=auth-int, transfer encoding
  body_malformed,          // SDP or multipart the scanner could not read
  body_not_for_doors,      // SDP where no offer or answer can stand (OPTIONS, INFO, 4xx, ...)
  count_,
};
std::string_view name_of(Reason reason);         // "third-party": stable, for JSON and the journal
std::string_view explanation_of(Reason reason);  // one sentence for people
// Which of the two a reason may befall: only those are shown for it.
constexpr bool is_of_packets(Reason reason) { return reason != Reason::third_party && reason != Reason::body_not_for_doors; }
constexpr bool is_of_groups(Reason reason) { return reason >= Reason::header_unreadable; }

enum class Event : uint8_t {
  doors_opened, doors_closed, doors_refused, ways_out_opened,
  calls_begun, calls_ended_by_message, calls_ended_by_time, calls_cleared, calls_refused_by_bound,
  registrations_begun, registrations_ended_by_message, registrations_ended_by_time,
  transactions_begun, transactions_timed_out, retransmissions, retransmitted_invites,
  media_port_zero, media_address_zero, media_unreadable, no_content_length,
  header_group_failed, body_group_failed, opinions_asked,
  streams_followed, streams_not_sip, streams_refused_by_bound, streams_restored,
  stream_framing_lost, stream_messages_too_big, stream_messages_given_up, stream_edits_refused, stream_takeovers,
  flows_rerouted,
  count_,
};
std::string_view name_of(Event event);

// Header fields that doors come from: what the second opinion is asked about.
enum class DoorField : uint8_t { via, contact, record_route, path, service_route, count_ };
std::string_view name_of(DoorField field);  // "Record-Route"

template <typename E> constexpr std::size_t count_of = static_cast<std::size_t>(E::count_);

struct EventCounts {
  std::array<uint64_t, count_of<Event>> events{};
  void add(const EventCounts& other);
  void count(Event event, uint64_t n = 1) { events[static_cast<std::size_t>(event)] += n; }
  uint64_t operator[](Event event) const { return events[static_cast<std::size_t>(event)]; }
};

struct Stats : EventCounts {
  static constexpr std::size_t methods = static_cast<std::size_t>(sip::Method::update) + 1;
  std::array<uint64_t, methods> requests{};          // by method, retransmissions included
  std::array<uint64_t, methods> ok{};                // 200 by the method of CSeq
  std::array<uint64_t, 700> responses{};             // by status code
  std::array<uint64_t, count_of<Reason>> packets{};  // one per packet: what became of it
  std::array<uint64_t, count_of<Reason>> groups{};   // one per group of edits that failed
  std::array<uint64_t, static_cast<std::size_t>(sip::ScanError::too_many) + 1> scan_errors{};
  std::array<uint64_t, count_of<DoorField>> opinions_differ{}, opinions_unreadable{};  // messages, by field
  uint64_t edits = 0;                                // fields changed

  using EventCounts::add;
  void add(const Stats& other);
  void count_packet(Reason reason) { ++packets[static_cast<std::size_t>(reason)]; }
  void count_group(Reason reason) { ++groups[static_cast<std::size_t>(reason)]; }
  uint64_t of_packets(Reason reason) const { return packets[static_cast<std::size_t>(reason)]; }
  uint64_t of_groups(Reason reason) const { return groups[static_cast<std::size_t>(reason)]; }
};

}  // namespace sipalg
