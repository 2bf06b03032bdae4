// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/responder.h"

#include "test/load/media.h"
#include "test/load/proxied.h"

namespace sipalg::load {
namespace {
constexpr int64_t patience = 20'000'000;  // ns until the end is looked for
}

void Responder::run() {
  try {
    enter_namespace(plan_.outside_namespace);
    const SocketEnds own{plan_.place.outside_host, plan_.place.outside_port};
    wire_ = plan_.style.transport == "TCP" ? make_tcp_server(own, flows_) : make_udp_server(own, flows_);
    tell_ready();
    serve();
  } catch (const std::exception& error) {
    shared_.note(std::string("outside: ") + error.what());
    shared_.is_over = true;
    tell_ready();
  }
}

void Responder::tell_ready() {
  shared_.is_ready = true;
  shared_.is_ready.notify_all();
}

void Responder::serve() {
  while (!shared_.is_over) {
    wire_->receive(patience, [this](const Arrival& arrival) { take(arrival); });
    wire_->flush();
    if (shared_.wants_media && !shared_.has_media) echo_media();
  }
  if (wire_->strays > 0) shared_.note(std::to_string(wire_->strays) + " messages outside came from an unknown source");
}

void Responder::take(const Arrival& arrival) {
  Values values{};
  const auto kind = flows_.recognise(arrival.flow, arrival.bytes, true, values);
  const std::size_t place = place_of(at(values, Slot::call));
  if (!kind || (plan_.expect != Expect::proxied && place % flows_.size() != arrival.flow)) {
    Tally::add(shared_.outside.wrong);
    shared_.note("outside got on flow " + std::to_string(arrival.flow) + ":\n" + std::string(arrival.bytes));
    return;
  }
  Tally::add(shared_.outside.arrived);
  if (shared_.is_recording.load(std::memory_order_relaxed)) shared_.outward.add(arrival.at - shared_.sent_at.get(place, *kind));
  if (*kind == Kind::invite) shared_.announced[place] = static_cast<uint16_t>(at(values, Slot::media));
  at(values, Slot::media) = media_port(at(values, Slot::call), flows_.hosts());
  answer(arrival.bytes, *kind, values);
}

void Responder::answer(std::string_view request, Kind kind, const Values& values) {
  switch (kind) {
    case Kind::invite:
      if (plan_.workload == Workload::trunk) {
        send(request, Kind::trying, values);
        send(request, Kind::ringing, values);
      }
      return send(request, Kind::answer, values);
    case Kind::reinvite: return send(request, Kind::answer, values);
    case Kind::bye: return send(request, Kind::bye_ok, values);
    case Kind::info: return send(request, Kind::info_ok, values);
    case Kind::refresh: return send(request, Kind::refresh_ok, values);
    case Kind::options: return send(request, Kind::options_ok, values);
    default: return;
  }
}

void Responder::send(std::string_view request, Kind kind, const Values& values) {
  const std::size_t place = place_of(at(values, Slot::call)), flow = place % flows_.size();
  if (plan_.rate > 0) shared_.sent_at.set(place, kind, now_ns());
  if (plan_.expect == Expect::proxied)
    wire_->put(flow, response_to(request, flows_.written(flow, kind).text(values)));
  else
    wire_->put(flow, flows_.written(flow, kind), values);
  Tally::add(shared_.outside.sent);
  // a proxy keeps a 100 to itself (RFC 3261 section 16.7): there it has arrived
  if (plan_.expect == Expect::proxied && kind == Kind::trying) Tally::add(shared_.outside.arrived);
  if (plan_.rate > 0) wire_->flush();  // a time stamp is not to wait for its neighbours
}

// Sends every media packet back to where the call's description said, and hears that endpoint alone.
void Responder::echo_media() {
  std::vector<SocketEnds> ends;
  for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
    const uint16_t own_port = media_port(plan_.first_call + flow, flows_.hosts());
    ends.push_back({plan_.place.outside_host, own_port, flows_.outside_target(flow).first, shared_.announced[flow]});
  }
  const auto media = make_udp_flows(ends);
  const Template packet = media_packet();
  shared_.has_media = true;
  while (!shared_.is_over) {
    media->receive(patience, [&](const Arrival& arrival) {
      Values values{};
      if (!packet.read(arrival.bytes, values)) return Tally::add(shared_.outside.wrong);
      Tally::add(shared_.outside.arrived);
      media->put(arrival.flow, packet, values);
      Tally::add(shared_.outside.sent);
    });
    media->flush();
    wire_->receive(0, [this](const Arrival& arrival) { take(arrival); });
    wire_->flush();
    if (!shared_.wants_media) return;
  }
}

}  // namespace sipalg::load
