// SPDX-License-Identifier: GPL-2.0-or-later
// Time comes from the capture and never goes back.
#include "cli/player.h"

#include <algorithm>

#include "alg/control/report_json.h"
#include "alg/control/stats_json.h"
#include "alg/daemon/payload_room.h"
#include "alg/sip/scanner.h"
#include "cli/arguments.h"
#include "cli/link_layer.h"

namespace sipalg {
namespace {

constexpr uint32_t mtu = 1500;

bool is_sip(const DatagramView& view) {
  return view.source.port == sip_port || view.destination.port == sip_port || sip::begins_like_sip(view.payload());
}

}  // namespace

Player::Player(const Policy& policy, const std::vector<Address>& outside, CaptureWriter* out)
    : engine_(policy, keeper_), nat_(policy.inside, outside, keeper_), out_(out) {}

Instant Player::advance(Instant captured) {
  now_ = std::max(now_, captured);
  if (engine_.next_timer() <= now_) engine_.tick(now_);
  return now_;
}

void Player::play(int link_type, const CaptureReader::Frame& frame) {
  ++frames_;
  const Instant now = advance(frame.time);
  const auto packet = find_ip(link_type, frame.bytes);
  if (!packet) {
    ++not_ip_;
  } else if (const auto whole = reassembly_.add(*packet, now)) {
    play_packet(*whole, now);
  }
}

void Player::play_packet(std::span<const uint8_t> packet, Instant now) {
  const auto view = view_datagram(packet);
  if (!view) {
    view.error() == PacketError::other_protocol ? ++not_udp_ : ++malformed_packets_;
    return;
  }
  if (view->protocol != Protocol::udp) {
    ++not_udp_;
    return;
  }
  const Way way = nat_.way_of(*view);
  if (way == Way::out || way == Way::in) keeper_.saw_packet(way == Way::out ? view->source : view->destination, now);
  is_sip(*view) ? play_sip(*view, way, now) : void(++other_udp_);
}

void Player::play_sip(const DatagramView& view, Way way, Instant now) {
  if (way == Way::between_inside || way == Way::not_inside) {
    way == Way::between_inside ? ++between_inside_ : ++not_inside_;
    return;
  }
  way == Way::out ? ++played_out_ : ++played_in_;
  const Flow flow = nat_.flow_of(view, way);
  // a reassembled packet is fragmented again: nothing limits it
  const std::size_t most = most_payload_bytes(view, reassembly_.last_was_fragmented() ? 0 : mtu);
  Trace trace;
  const Verdict verdict = engine_.handle({view.payload(), flow, most}, now, scratch_, &trace);
  sum_up(trace);
  if (out_ != nullptr) write(view, flow, verdict, now);
}

void Player::sum_up(const Trace& trace) {
  for (const auto& edit : trace.edits) ++edits_[std::string(name_of(edit.field))];
  for (const auto& door : trace.doors) ++doors_[door.purpose];
}

void Player::write(const DatagramView& view, const Flow& flow, const Verdict& verdict, Instant now) {
  natted_.assign(view.packet.begin(), view.packet.end());
  set_source(natted_, view, flow.sender.outside);
  const auto translated = view_datagram(natted_);
  if (!translated) return;
  const std::string_view payload = verdict.edited() ? verdict.bytes : view.payload();
  const bool grew = view.payload_offset + payload.size() > std::max<std::size_t>(mtu, view.packet.size());
  replace_payload(*translated, payload, grew, packet_);
  out_->write(packet_, now);
}

Json Player::summary() const {
  return {{"capture",
           {{"frames", frames_},
            {"not_ip", not_ip_},
            {"not_udp", not_udp_},
            {"malformed", malformed_packets_},
            {"fragments_unfinished", reassembly_.unfinished()},
            {"other_udp", other_udp_}}},
          {"sip",
           {{"played_out", played_out_},
            {"played_in", played_in_},
            {"skipped_between_inside", between_inside_},
            {"skipped_not_inside", not_inside_}}},
          {"edits", edits_},
          {"doors", doors_},
          {"stats", to_json(engine_.stats())},
          {"at_the_end", report::to_json(engine_.totals())}};
}

}  // namespace sipalg
