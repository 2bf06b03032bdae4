// SPDX-License-Identifier: GPL-2.0-or-later
// Names of what is counted, each in one table.
#include "alg/stats/stats.h"

#include <algorithm>
#include <functional>

namespace sipalg {
namespace {

struct ReasonText {
  std::string_view name, explanation;
};
constexpr std::array<ReasonText, count_of<Reason>> reasons{{
    {"edited", "at least one field was rewritten"},
    {"nothing-to-edit", "understood and followed; no field needs another text"},
    {"service-off", "the SIP service is switched off for this protocol or port"},
    {"router-own", "the router itself sent this packet"},
    {"nobody-inside", "no NAT on this flow, and neither end of it is in `inside`, or both are"},
    {"unknown-flow", "conntrack does not know this packet (stateless NAT, or conntrack is off)"},
    {"keepalive", "an empty packet or line ends only"},
    {"not-sip", "the first line is not SIP/2.0"},
    {"malformed", "the SIP scanner can not read it with certainty"},
    {"fragment", "an IP fragment that was not reassembled"},
    {"transaction-untouched", "the first message of this transaction passed unchanged, so does the rest of it"},
    {"no-record", "it belongs to a request that was not seen"},
    {"media-endpoint", "a request to an endpoint of media, where nobody asked for one"},
    {"header-unreadable", "an address header can not be read with certainty"},
    {"opinions-differ", "our scanner and sofia-sip see different endpoints"},
    {"opinion-unreadable", "sofia-sip can not read a field a door would come from"},
    {"third-party", "it names another host than its sender; list the sender in `pbx` to allow that"},
    {"low-port", "it asks for a port below 1024"},
    {"kernel-refused", "the kernel did not make a door"},
    {"expectations-full", "the kernel's expectation table is full; raise net.netfilter.nf_conntrack_expect_max"},
    {"ports-exhausted", "no free outside port; widen `media-ports`"},
    {"table-full", "a bound is reached; the living are kept, the new is refused"},
    {"too-big", "too large for the queue, or rewritten for the way out: past 65,535 bytes, or past the MTU over IPv6"},
    {"too-many-edits", "more fields would change than one message may have"},
    {"body-encoded", "the body is encoded or signed"},
    {"body-malformed", "the body can not be read with certainty"},
    {"body-not-for-doors", "no offer or answer can stand in this message"},
}};
static_assert(!reasons.back().name.empty(), "a reason has no name");

constexpr std::array<std::string_view, count_of<Event>> event_names{
    "doors-opened", "doors-closed", "doors-refused", "ways-out-opened",
    "calls-begun", "calls-ended-by-message", "calls-ended-by-time", "calls-cleared", "calls-refused-by-bound",
    "registrations-begun", "registrations-ended-by-message", "registrations-ended-by-time",
    "transactions-begun", "transactions-timed-out", "retransmissions", "retransmitted-invites",
    "media-port-zero", "media-address-zero", "media-unreadable", "no-content-length",
    "header-group-failed", "body-group-failed", "opinions-asked",
    "streams-followed", "streams-not-sip", "streams-refused-by-bound", "streams-restored",
    "stream-framing-lost", "stream-messages-too-big", "stream-messages-given-up", "stream-edits-refused", "stream-takeovers",
    "flows-rerouted",
};
static_assert(!event_names.back().empty(), "an event has no name");

}  // namespace

std::string_view name_of(Reason reason) { return reasons[static_cast<std::size_t>(reason)].name; }
std::string_view explanation_of(Reason reason) { return reasons[static_cast<std::size_t>(reason)].explanation; }
std::string_view name_of(DoorField field) {
  constexpr std::array<std::string_view, count_of<DoorField>> names{"Via", "Contact", "Record-Route", "Path", "Service-Route"};
  return names[static_cast<std::size_t>(field)];
}
std::string_view name_of(Event event) { return event_names[static_cast<std::size_t>(event)]; }

static void sum(auto& to, const auto& from) { std::ranges::transform(to, from, to.begin(), std::plus()); }

void EventCounts::add(const EventCounts& other) { sum(events, other.events); }

void Stats::add(const Stats& other) {
  EventCounts::add(other);
  sum(requests, other.requests), sum(ok, other.ok), sum(responses, other.responses);
  sum(packets, other.packets), sum(groups, other.groups), sum(scan_errors, other.scan_errors);
  sum(opinions_differ, other.opinions_differ), sum(opinions_unreadable, other.opinions_unreadable);
  edits += other.edits;
}

}  // namespace sipalg
