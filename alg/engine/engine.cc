// SPDX-License-Identifier: GPL-2.0-or-later
// One datagram to one verdict: scanned, counted, past its inside ends, put together again.
#include "alg/engine/engine.h"

#include <algorithm>

#include "alg/engine/exchange.h"
#include "alg/engine/reports.h"
#include "alg/sip/scanner.h"

namespace sipalg {
namespace {

Reason reason_of(sip::ScanError error) {
  if (error == sip::ScanError::empty) return Reason::keepalive;
  return error == sip::ScanError::not_sip ? Reason::not_sip : Reason::malformed;
}

void count_message(Stats& stats, const sip::Message& message) {
  if (message.is_request) {
    ++stats.requests[static_cast<std::size_t>(message.method)];
  } else {
    ++stats.responses[message.status];
    if (message.status == 200) ++stats.ok[static_cast<std::size_t>(message.method)];
  }
  if (!message.content_length.is_set()) stats.count(Event::no_content_length);
}

struct Ends {
  bool out, in;  // the sender, the receiver is inside
};

// Inside is the end whose address the kernel's NAT changed; without NAT the policy tells (sip-rules section 1).
Ends inside_ends(const Policy& policy, const Flow& flow) {
  // the address: conntrack may move a port of the far side to keep two flows apart
  const auto is_changed = [](const FlowEnd& end) { return end.inside.address != end.outside.address; };
  if (is_changed(flow.sender) || is_changed(flow.receiver)) return {is_changed(flow.sender), is_changed(flow.receiver)};
  const bool from_inside = policy.is_inside(flow.sender.inside.address), to_inside = policy.is_inside(flow.receiver.inside.address);
  if (from_inside && to_inside) return {false, false};  // within the inside: nothing of it crosses the router's edge
  return {from_inside, to_inside};
}

void note_message(Trace& trace, std::string_view bytes, const sip::Message& message, const Ends& ends) {
  trace.first_line = escaped(message.first_line.in(bytes));
  trace.call_id = escaped(message.call_id.in(bytes));
  trace.method = message.method == sip::Method::other ? escaped(message.method_text.in(bytes)) : std::string(name_of(message.method));
  trace.status = message.is_request ? uint16_t{0} : message.status;
  trace.direction = ends.out && ends.in ? "hairpin" : ends.out ? "out" : ends.in ? "in" : "none";
}

void note_edits(Trace& trace, std::string_view bytes, const EditList& edits) {
  for (const Edit& edit : edits.edits())
    trace.edits.push_back({edit.field, edit.span.begin, std::string(edit.span.in(bytes)), std::string(edits.text(edit))});
}

}  // namespace

Engine::Engine(Policy policy, DoorKeeper& keeper, Stats& stats, uint64_t salt)
    : rooms_(std::make_unique<EngineRooms>(std::move(policy), keeper, stats, salt)) {
  set_policy(rooms_->policy);
}
Engine::~Engine() = default;

void Engine::set_policy(Policy policy) {
  rooms_->doors.set_ports(policy.media_ports, policy.reserved_ports);
  rooms_->calls.set_idle(policy.call_idle, policy.call_idle_held);
  rooms_->policy = std::move(policy);
}

void Engine::set_service(SipService service) { rooms_->service = std::move(service); }

bool Engine::needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const {
  return rooms_->calls.needs_port(protocol, port, in_service);
}

Reason Engine::pass(std::string_view bytes, const Flow& flow, bool out, std::size_t most_bytes, Instant now,
                    Scratch& scratch, std::string& output, Trace* trace) {
  EngineRooms& rooms = *rooms_;
  const FlowEnd& me = out ? flow.sender : flow.receiver;
  const FlowEnd& peer = out ? flow.receiver : flow.sender;
  const Passage passage{bytes, scratch.message, me, peer.outside, flow.protocol, flow.zone, out, out == flow.begun_by_sender, now};
  scratch.edits.clear();
  Exchange exchange(rooms, scratch, passage, trace);
  if (!rooms.service.takes(flow) && !exchange.belongs_to_record()) return Reason::service_off;
  if (!out && flow.is_new && flow.begun_by_sender && me.is_translated() && !rooms.doors.was_signalling_endpoint(flow.protocol, me.outside) &&
      rooms.learned.pbx.size() < limits::registrations) {
    rooms.learned.pbx.insert(me.inside.address);
    rooms.doors.learn_forwarded(flow.protocol, me.outside, me.inside);
  }
  const Reason reason = exchange.run(most_bytes);
  rooms.doors.flush();
  if (scratch.edits.empty()) return reason == Reason::edited ? Reason::nothing_to_edit : reason;
  apply(bytes, scratch.edits, output);
  rooms.stats.edits += scratch.edits.size();
  if (trace) note_edits(*trace, bytes, scratch.edits);
  return Reason::edited;
}

Verdict Engine::handle(const SipDatagram& datagram, Instant now, Scratch& scratch, Trace* trace) {
  EngineRooms& rooms = *rooms_;
  const auto verdict = [&](Reason reason, std::string_view bytes = {}) {
    rooms.stats.count_packet(reason);
    return Verdict{reason, bytes};
  };
  if (const auto scanned = sip::scan(datagram.bytes, scratch.message, datagram.bytes_behind); !scanned) {
    ++rooms.stats.scan_errors[static_cast<std::size_t>(scanned.error().error)];
    if (trace) trace->scan_error = std::string(name_of(scanned.error().error)) + " at byte " + std::to_string(scanned.error().offset);
    return verdict(reason_of(scanned.error().error));
  }
  count_message(rooms.stats, scratch.message);
  const Ends ends = inside_ends(rooms.policy, datagram.flow);
  if (trace) note_message(*trace, datagram.bytes, scratch.message, ends);
  if (!ends.out && !ends.in) return verdict(Reason::nobody_inside);

  scratch.opened.clear();
  std::string_view bytes = datagram.bytes;
  Reason first = Reason::nothing_to_edit, second = Reason::nothing_to_edit;
  if (ends.out) {
    first = pass(bytes, datagram.flow, true, datagram.most_bytes, now, scratch, scratch.first_output, trace);
    if (first == Reason::edited) bytes = scratch.first_output;
  }
  if (ends.in) {
    const bool readable = first != Reason::edited || sip::scan(bytes, scratch.message, datagram.bytes_behind).has_value();
    if (readable) second = pass(bytes, datagram.flow, false, datagram.most_bytes, now, scratch, scratch.second_output, trace);
    if (second == Reason::edited) bytes = scratch.second_output;
  }
  if (trace)
    for (DoorId id : scratch.opened) trace->doors.push_back(report_door(rooms, id));
  if (first == Reason::edited || second == Reason::edited) return verdict(Reason::edited, bytes);
  return verdict(ends.out && first != Reason::nothing_to_edit ? first : ends.in ? second : first);
}

void Engine::tick(Instant now, std::size_t most) {
  rooms_->calls.tick(now, most);
  rooms_->doors.tick(now);
}

Instant Engine::next_timer() const { return rooms_->calls.next_timer(); }

void Engine::outside_address_lost(const Address& address) { rooms_->doors.address_lost(address); }
void Engine::outside_address_returned(const Address& address) { rooms_->doors.address_returned(address); }

std::size_t Engine::clear_call(std::string_view call_id, Instant now) { return rooms_->calls.clear_legs(call_id, now); }
std::size_t Engine::clear_calls(Instant now) { return rooms_->calls.clear_legs(std::nullopt, now); }
std::size_t Engine::clear_registrations(Instant now) { return rooms_->calls.clear_registrations(now); }

void Engine::close_all(Instant now) { rooms_->calls.close_all(now); }

std::vector<report::Call> Engine::calls(Instant now) const { return report_calls(*rooms_, now); }
std::vector<report::Door> Engine::doors(Instant now) const { return report_doors(*rooms_, now); }
std::vector<report::Registration> Engine::registrations(Instant now) const { return report_registrations(*rooms_, now); }

Engine::Standing Engine::standing() const {
  return {rooms_->calls.call_count(), rooms_->calls.registration_count(), rooms_->doors.size()};
}

report::Totals Engine::totals() const {
  report::Totals totals;
  totals.transactions = rooms_->calls.transaction_count();
  totals.registrations = rooms_->calls.registration_count();
  totals.doors = rooms_->doors.size();
  totals.kernel_doors = rooms_->doors.in_kernel();
  rooms_->calls.for_each_leg([&](LegId, const Leg& leg) {
    if (!leg.ends) ++(leg.is_call ? totals.calls : totals.subscriptions);
    totals.dialogs += leg.dialogs.size();
  });
  return totals;
}

}  // namespace sipalg
