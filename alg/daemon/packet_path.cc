// SPDX-License-Identifier: GPL-2.0-or-later
// See packet_path.h.
#include "alg/daemon/packet_path.h"

#include <exception>
#include <utility>

#include "alg/daemon/payload_room.h"

namespace sipalg {
namespace {

constexpr uint32_t told_per_period = 5;
constexpr std::chrono::minutes period{1};

Reason reason_of(PacketError error) {
  if (error == PacketError::fragment) return Reason::fragment;
  // the kernel copies no more than 65,531 bytes of a packet (nfnetlink_queue.c: an attribute's length has 16 bits)
  return error == PacketError::truncated ? Reason::too_big : Reason::not_sip;
}

}  // namespace

PacketPath::PacketPath(LoggedEngine& engine, Engine& doors, StreamPath* streams, Stats& stats, FlowLookup& flows, const Interfaces& interfaces,
                       const Log& log, uint32_t shard)
    : engine_(engine), streams_(streams), foreign_(doors, flows, interfaces), stats_(stats), flows_(flows), interfaces_(interfaces),
      log_(log), shard_(shard),
      exceptions_(told_per_period, period) {}

void PacketPath::handle(const QueuedPacket& packet, PendingVerdict verdict, Instant now) {
  const std::optional<Flow> judged = std::exchange(judged_, std::nullopt);
  try {
    if (packet.indev == 0) return stats_.count_packet(Reason::router_own);
    const auto view = view_datagram(packet.bytes);
    if (!view) return stats_.count_packet(reason_of(view.error()));
    const auto flow = judged ? *judged : flows_.find(packet, *view, now);
    if (!flow) return pass_unknown(*view, verdict);
    if (foreign_.may_concern(packet.outdev, *view, now) && foreign_.ends(packet.outdev, *view, *flow, now)) {
      stats_.count(Event::flows_rerouted);
      return verdict.drop();
    }
    const uint32_t mtu = interfaces_.mtu(packet.outdev);
    if (view->protocol == Protocol::tcp) return streams_ != nullptr ? streams_->handle(*view, *flow, mtu, std::move(verdict), now) : void();
    handle_datagram(*view, *flow, mtu, verdict, now);
  } catch (const std::exception& error) {
    tell_exception(error.what(), now);
  }
}

void PacketPath::pass_unknown(const DatagramView& view, PendingVerdict& verdict) {
  stats_.count_packet(Reason::unknown_flow);
  if (view.protocol == Protocol::tcp && streams_ != nullptr && streams_->is_guarded(view)) verdict.drop();
}

void PacketPath::handle_datagram(const DatagramView& view, const Flow& flow, uint32_t mtu, PendingVerdict& verdict, Instant now) {
  Scratch& scratch = next_scratch();
  const Overtaking::UnderWay under_way(overtaking_, scratch, view.payload());
  const Verdict decision = engine_.handle({view.payload(), flow, most_payload_bytes(view, mtu)}, now, scratch);
  if (decision.is_misplaced) {
    stats_.count(Event::flows_rerouted);
    flows_.end(view, flow);
    return verdict.drop();  // the sender repeats it
  }
  if (!decision.edited()) return;
  const std::size_t size = view.payload_offset + decision.bytes.size();
  const bool clear_dont_fragment = size > mtu && size > view.packet.size();
  verdict.accept(size, [&](std::span<uint8_t> out) { replace_payload(view, decision.bytes, clear_dont_fragment, out); });
}

Scratch& PacketPath::next_scratch() {
  if (scratches_.size() == overtaking_.depth()) scratches_.push_back(std::make_unique<Scratch>(shard_));
  return *scratches_[overtaking_.depth()];
}

bool PacketPath::handle_next(Queue& queue, Instant now) {
  if (!overtaking_.may_wait()) return false;
  bool is_handled = false;
  Scratch* next = nullptr;
  try {
    next = &next_scratch();
    is_handled = queue.give_next([&](const QueuedPacket& packet) { return may_come_first(packet, *next, now); });
  } catch (const std::exception& error) {
    tell_exception(error.what(), now);
  }
  if (next != nullptr) next->forget(); // what was read ahead and may not come first, or is of no flow
  judged_.reset();
  return is_handled;
}

bool PacketPath::may_come_first(const QueuedPacket& packet, Scratch& next, Instant now) {
  const auto view = view_datagram(packet.bytes);
  if (!view) return true;
  if (view->protocol != Protocol::udp || foreign_.may_concern(packet.outdev, *view, now) || !overtaking_.may_come_first(view->payload(), next)) return false;
  if (engine_.shards() == 1) return true;
  const auto flow = flows_.find(packet, *view, now);
  if (!flow || !engine_.lets_in(*flow, shard_)) return false;
  judged_ = *flow;
  return true;
}

void PacketPath::tell_exception(const char* what, Instant now) {
  if (const auto held_back = exceptions_.admit(now))
    log_.error("a packet passed unchanged, handling it failed: " + std::string(what) + and_held_back(*held_back));
}

}  // namespace sipalg
