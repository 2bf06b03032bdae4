// SPDX-License-Identifier: GPL-2.0-or-later
// One datagram to one verdict: scanned, counted, past its inside ends, put together again.
#include "alg/engine/engine.h"

#include <algorithm>
#include <set>

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

// What hosts behind the router send each other is not translated; with a door in between both ends are.
bool is_beyond_nat(const EngineRooms& rooms, const Flow& flow) {
  return flow.is_new && flow.begun_by_sender && flow.sender.inside.address != flow.sender.outside.address && !flow.receiver.is_translated() &&
         rooms.learned.beyond_nat.size() < limits::beyond_nat && rooms.policy.is_inside(flow.receiver.outside.address);
}

// The rooms a message is in: one after the other where it has two inside ends.
using Lease = Sharded<EngineRooms>::Hold;

Reason pass(EngineHouse& house, Lease& lease, const SipDatagram& datagram, std::string_view bytes, bool out, Instant now, Scratch& scratch,
            std::string& output, Trace* trace) {
  const Flow& flow = datagram.flow;
  const FlowEnd& me = out ? flow.sender : flow.receiver;
  const FlowEnd& peer = out ? flow.receiver : flow.sender;
  lease.move_to(shard_of(me.inside.address, house.rooms.size()));
  EngineRooms& rooms = *lease;
  const auto stay = house.doors.stay(lease.part());
  const Passage passage{bytes, scratch.message, me, peer.outside, flow.protocol, flow.zone, out, out == flow.begun_by_sender, now};
  scratch.edits.clear();
  Exchange exchange(rooms, scratch, passage, trace);
  if (!rooms.service.takes(flow) && !exchange.belongs_to_record()) return Reason::service_off;
  // a media door lets in whoever sends: that is no leave to begin calls
  if (!out && scratch.message.is_request && house.doors.has_media(flow.protocol, me.inside, me.outside)) return Reason::media_endpoint;
  if (!out && flow.is_new && flow.begun_by_sender && me.is_translated() && rooms.learned.pbx.size() < limits::registrations &&
      !house.doors.was_signalling_endpoint(flow.protocol, me.outside)) {
    rooms.learned.pbx.insert(me.inside.address);
    house.doors.learn_forwarded(flow.protocol, me.outside, me.inside);
  }
  if (out && is_beyond_nat(rooms, flow)) rooms.learned.beyond_nat.insert(peer.outside.address);
  const Reason reason = exchange.run(datagram);
  house.doors.flush(lease.part());
  if (scratch.edits.empty()) return reason == Reason::edited ? Reason::nothing_to_edit : reason;
  apply(bytes, scratch.edits, output);
  rooms.stats.edits += scratch.edits.size();
  if (trace) note_edits(*trace, bytes, scratch.edits);
  return Reason::edited;
}

}  // namespace

Engine::Engine(const Policy& policy, DoorKeeper& keeper, uint64_t salt, uint32_t shards)
    : house_(std::make_unique<EngineHouse>(keeper, salt, shards)) {
  set_policy(policy);
}
Engine::~Engine() = default;

void Engine::set_policy(const Policy& policy) {
  house_->doors.set_ports(policy.media_ports, policy.reserved_ports);
  house_->rooms.for_each([&](EngineRooms& rooms) {
    rooms.calls.set_idle(policy.call_idle, policy.call_idle_held);
    rooms.policy = policy;
  });
}

void Engine::set_service(const SipService& service) {
  house_->rooms.for_each([&](EngineRooms& rooms) { rooms.service = service; });
}

bool Engine::needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const {
  bool needs = house_->registrations.needs_port(protocol, port, in_service);
  house_->rooms.for_each([&](const EngineRooms& rooms) { needs = needs || rooms.calls.needs_port(protocol, port, in_service); });
  return needs;
}

Verdict Engine::handle(const SipDatagram& datagram, Instant now, Scratch& scratch, Trace* trace) {
  Lease lease(house_->rooms, scratch.shard);
  const auto verdict = [&](Reason reason, std::string_view bytes = {}, bool is_misplaced = false) {
    lease->stats.count_packet(reason);
    return Verdict{reason, bytes, is_misplaced};
  };
  scratch.failed.reset();
  if (const auto scanned = scratch.read(datagram.bytes, datagram.bytes_behind); !scanned) {
    ++lease->stats.scan_errors[static_cast<std::size_t>(scanned.error().error)];
    if (trace) trace->scan_error = std::string(name_of(scanned.error().error)) + " at byte " + std::to_string(scanned.error().offset);
    return verdict(reason_of(scanned.error().error));
  }
  count_message(lease->stats, scratch.message);
  const Ends ends = inside_ends(lease->policy, datagram.flow);
  if (trace) note_message(*trace, datagram.bytes, scratch.message, ends);
  if (!ends.out && !ends.in) return verdict(Reason::nobody_inside);

  scratch.opened.clear();
  std::string_view bytes = datagram.bytes;
  Reason first = Reason::nothing_to_edit, second = Reason::nothing_to_edit;
  if (ends.out) {
    first = pass(*house_, lease, datagram, bytes, true, now, scratch, scratch.first_output, trace);
    if (first == Reason::edited) bytes = scratch.first_output;
  }
  if (ends.in) {
    const bool readable = first != Reason::edited || scratch.read(bytes, datagram.bytes_behind).has_value();
    if (readable) second = pass(*house_, lease, datagram, bytes, false, now, scratch, scratch.second_output, trace);
    if (second == Reason::edited) bytes = scratch.second_output;
  }
  if (trace) {
    const auto stay = house_->doors.stay(lease.part());  // doors may be another part's: who waits for this message has his lock again after it
    for (DoorId id : scratch.opened) trace->doors.push_back(report_door(house_->doors, id));
  }
  const auto misplaces = [&] {
    const auto stay = house_->doors.stay(lease.part());  // as for the trace
    return house_->doors.misplaces(datagram.flow);
  };
  const bool is_misplaced = ends.out && scratch.message.is_request && !scratch.opened.empty() && datagram.flow.begun_by_sender && misplaces();
  if (first == Reason::edited || second == Reason::edited) return verdict(Reason::edited, bytes, is_misplaced);
  return verdict(ends.out && first != Reason::nothing_to_edit ? first : ends.in ? second : first);
}

bool Engine::lets_in(const Flow& flow, uint32_t shard) const {
  const Sharded<EngineRooms>& all = house_->rooms;
  if (all.is_alone()) return true;
  const auto* held = all.held();
  if (held == nullptr || held->part() != shard || !house_->doors.lets_in(shard)) return false;
  const Ends ends = inside_ends((*held)->policy, flow);
  const auto is_here = [&](const FlowEnd& end) { return shard_of(end.inside.address, all.size()) == shard; };
  return (!ends.out || is_here(flow.sender)) && (!ends.in || is_here(flow.receiver));
}

// --- time ---

void Engine::tick(Instant now, std::size_t most) {
  for (uint32_t i = 0; i < shards(); ++i) tick_shard(i, now, most);
}

void Engine::tick_shard(uint32_t shard, Instant now, std::size_t most) {
  house_->rooms.at(shard, [&](EngineRooms& rooms) {
    const auto stay = house_->doors.stay(shard);
    rooms.calls.tick(now, most);
  });
  house_->registrations.tick(shard, now, most);
  house_->doors.tick(shard, now);
}

Instant Engine::next_timer() const {
  Instant next = Instant::max();
  for (uint32_t i = 0; i < shards(); ++i) next = std::min(next, next_timer_of(i));
  return next;
}

Instant Engine::next_timer_of(uint32_t shard) const {
  const Instant of_calls = house_->rooms.at(shard, [](const EngineRooms& rooms) { return rooms.calls.next_timer(); });
  return std::min(of_calls, house_->registrations.next_timer(shard));
}

uint32_t Engine::shards() const { return house_->rooms.size(); }

// --- the administrator's ---

void Engine::outside_address_lost(const Address& address, const Address& inside_host) { house_->doors.address_lost(address, inside_host); }
void Engine::outside_address_returned(const Address& address, const Address& inside_host) {
  house_->doors.address_returned(address, inside_host);
}

std::vector<Address> Engine::take_beyond_nat() {
  std::vector<Address> out;
  house_->rooms.for_each([&](EngineRooms& rooms) {
    out.insert(out.end(), rooms.learned.beyond_nat.begin(), rooms.learned.beyond_nat.end());
    rooms.learned.beyond_nat.clear();
  });
  return out;
}

bool Engine::close_doors_of(const Flow& flow) {
  return house_->doors.endpoint_lost(flow.protocol, flow.sender.inside, flow.sender.outside, flow.receiver.outside.address);
}

std::size_t Engine::clear_legs(std::optional<std::string_view> call_id, Instant now) {
  std::size_t cleared = 0;
  house_->rooms.for_each([&](EngineRooms& rooms) { cleared += rooms.calls.clear_legs(call_id, now); });
  flush_doors();
  return cleared;
}

std::size_t Engine::clear_call(std::string_view call_id, Instant now) { return clear_legs(call_id, now); }
std::size_t Engine::clear_calls(Instant now) { return clear_legs(std::nullopt, now); }

std::size_t Engine::clear_registrations(Instant now) {
  const std::size_t cleared = house_->registrations.clear(now);
  flush_doors();
  return cleared;
}

void Engine::close_all(Instant now) {
  house_->rooms.for_each([&](EngineRooms& rooms) { rooms.calls.close_all(now); });
  house_->registrations.clear(now);
  flush_doors();
}

// --- what outlives the process ---

void Engine::note_registration_changes(bool is_wanted) { house_->registrations.note_changes(is_wanted); }

std::vector<SavedChange> Engine::take_registration_changes(std::size_t most) {
  return house_->registrations.take_changes(most, is_routers());
}

bool Engine::restore_registration(std::string_view bytes, Instant now) {
  return house_->registrations.restore(bytes, is_routers(), now);
}

std::function<bool(const Address&)> Engine::is_routers() const {
  return house_->rooms.at(0, [](const EngineRooms& rooms) {
    return [own = std::set(rooms.policy.router.begin(), rooms.policy.router.end())](const Address& address) { return own.contains(address); };
  });
}

void Engine::flush_doors() {
  for (uint32_t i = 0; i < shards(); ++i) house_->doors.flush(i);
}

std::vector<report::Call> Engine::calls(Instant now) const {
  std::vector<report::Call> out;
  house_->rooms.for_each([&](const EngineRooms& rooms) { report_calls(rooms, now, out); });
  return out;
}

std::vector<report::Door> Engine::doors(Instant now) const {
  DoorEnds ends;
  house_->rooms.for_each([&](const EngineRooms& rooms) { ends.note(rooms); });
  ends.note(house_->registrations);
  return report_doors(house_->doors, ends, now);
}

std::vector<report::Registration> Engine::registrations(Instant now) const { return report_registrations(house_->registrations, now); }

Engine::Standing Engine::standing() const {
  Standing standing{0, house_->registrations.size(), house_->doors.size()};
  house_->rooms.for_each([&](const EngineRooms& rooms) { standing.calls += rooms.calls.call_count(); });
  return standing;
}

report::Totals Engine::totals() const {
  report::Totals totals;
  totals.registrations = house_->registrations.size();
  totals.doors = house_->doors.size();
  totals.kernel_doors = house_->doors.in_kernel();
  house_->rooms.for_each([&](const EngineRooms& rooms) {
    totals.transactions += rooms.calls.transaction_count();
    rooms.calls.for_each_leg([&](LegId, const Leg& leg) {
      if (!leg.ends) ++(leg.is_call ? totals.calls : totals.subscriptions);
      totals.dialogs += leg.dialogs.size();
    });
  });
  return totals;
}

Stats Engine::stats() const {
  Stats sum;
  house_->rooms.for_each([&](const EngineRooms& rooms) { sum.add(rooms.stats); });
  house_->registrations.add_stats(sum);
  house_->doors.add_stats(sum);
  return sum;
}

void Engine::clear_stats() {
  house_->rooms.for_each([](EngineRooms& rooms) { rooms.stats = Stats{}; });
  house_->registrations.clear_stats();
  house_->doors.clear_stats();
}

}  // namespace sipalg
