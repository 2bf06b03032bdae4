// SPDX-License-Identifier: GPL-2.0-or-later
// See packet_path.h.
#include "alg/daemon/packet_path.h"

#include <exception>

#include "alg/base/text.h"
#include "alg/daemon/payload_room.h"
#include "alg/daemon/trace_log.h"
#include "alg/sip/scanner.h"

namespace sipalg {
namespace {

constexpr uint32_t told_per_period = 5;
constexpr std::chrono::minutes period{1};

template <std::size_t... i> auto make_limits(std::index_sequence<i...>) {
  return std::array<RateLimit, sizeof...(i)>{((void)i, RateLimit(told_per_period, period))...};
}

// The kernel or a bound refused: the administrator can do something about it.
bool is_ours_to_cure(Reason reason) {
  return reason == Reason::kernel_refused || reason == Reason::expectations_full || reason == Reason::ports_exhausted ||
         reason == Reason::table_full;
}

std::string and_held_back(uint64_t held_back) {
  return held_back == 0 ? "" : " (and " + std::to_string(held_back) + " more like this)";
}

Reason reason_of(PacketError error) {
  if (error == PacketError::fragment) return Reason::fragment;
  // the kernel copies no more than 65,531 bytes of a packet (nfnetlink_queue.c: an attribute's length has 16 bits)
  return error == PacketError::truncated ? Reason::too_big : Reason::not_sip;
}

}  // namespace

PacketPath::PacketPath(Engine& engine, Stats& stats, FlowLookup& flows, const Links& links, const Log& log)
    : engine_(engine), stats_(stats), flows_(flows), links_(links), log_(log),
      message_(std::make_unique<sip::Message>()),
      limits_(make_limits(std::make_index_sequence<count_of<Reason>>())), exceptions_(told_per_period, period) {}

void PacketPath::handle(const QueuedPacket& packet, PendingVerdict verdict, Instant now) {
  try {
    if (packet.indev == 0) return stats_.count_packet(Reason::router_own);
    const auto view = view_datagram(packet.bytes);
    if (!view) return stats_.count_packet(reason_of(view.error()));
    if (view->protocol != Protocol::udp) return stats_.count_packet(Reason::service_off);
    handle_datagram(packet, *view, verdict, now);
  } catch (const std::exception& error) {
    tell_exception(error.what(), now);
  }
}

void PacketPath::handle_datagram(const QueuedPacket& packet, const DatagramView& view, PendingVerdict& verdict, Instant now) {
  const auto flow = flows_.find(packet, view, now);
  if (!flow) return stats_.count_packet(Reason::unknown_flow);
  const uint32_t mtu = links_.mtu(packet.outdev);
  const Verdict decision = ask_engine({view.payload(), *flow, most_payload_bytes(view, mtu)}, now);
  if (!decision.edited()) return;
  const std::size_t size = view.payload_offset + decision.bytes.size();
  replace_payload(view, decision.bytes, size > mtu && size > view.packet.size(), packet_);
  verdict.accept(packet_);
}

Verdict PacketPath::ask_engine(const SipDatagram& datagram, Instant now) {
  const Groups before = stats_.groups;
  const bool traced = log_.has(LogLevel::debug);
  Trace trace;
  const Verdict verdict = engine_.handle(datagram, now, traced ? &trace : nullptr);
  if (traced) log_trace(log_, datagram, verdict, trace);
  tell_failures(datagram, before, now);
  return verdict;
}

void PacketPath::tell_failures(const SipDatagram& datagram, const Groups& before, Instant now) {
  if (stats_.groups == before) return;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (stats_.groups[i] != before[i]) tell_failure(static_cast<Reason>(i), datagram, now);
}

void PacketPath::tell_failure(Reason reason, const SipDatagram& datagram, Instant now) {
  const auto held_back = limits_[static_cast<std::size_t>(reason)].admit(now);
  if (!held_back) return;
  Log::Fields fields{{"REASON", std::string(name_of(reason))},
                     {"INSIDE", to_string(datagram.flow.sender.inside)},
                     {"REMOTE", to_string(datagram.flow.receiver.outside)}};
  if (sip::scan(datagram.bytes, *message_))
    fields.emplace_back("CALL_ID", escaped(message_->call_id.in(datagram.bytes)));
  const std::string text = "part of a message left unchanged: " + std::string(explanation_of(reason)) + and_held_back(*held_back);
  is_ours_to_cure(reason) ? log_.warning(text, fields) : log_.info(text, fields);
}

void PacketPath::tell_exception(const char* what, Instant now) {
  if (const auto held_back = exceptions_.admit(now))
    log_.error("a packet passed unchanged, handling it failed: " + std::string(what) + and_held_back(*held_back));
}

}  // namespace sipalg
