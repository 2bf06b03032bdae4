// SPDX-License-Identifier: GPL-2.0-or-later
// See foreign_ways.h.
#include "alg/daemon/foreign_ways.h"

namespace sipalg {

constexpr std::chrono::seconds settles{1};

Steering::Result ForeignWays::set(const std::set<ForeignSource>& sources) {
  std::erase_if(sources_, [&](const auto& known) { return !sources.contains(known.first); });
  for (const ForeignSource& source : sources) sources_.try_emplace(source);
  return tell();
}

Steering::Result ForeignWays::tell() {
  std::set<ForeignSource> foreign;
  for (const auto& [source, state] : sources_)
    if (!state.is_wanted) foreign.insert(source);
  return foreign == steering_.options().foreign ? Steering::Result{} : steering_.set_foreign(std::move(foreign));
}

bool ForeignWays::is_foreign(uint32_t interface, const DatagramView& packet) const {
  if (sources_.empty() || packet.protocol != Protocol::udp) return false;
  const auto found = sources_.find({interface, packet.source.address});
  return found != sources_.end() && !found->second.is_wanted;
}

bool ForeignWays::ends(uint32_t interface, const DatagramView& packet, const Flow& flow, Instant now) {
  if (!flow.begun_by_sender) return false;
  State& state = sources_.at({interface, packet.source.address});
  if (engine_.close_doors_of(flow)) state.door_closed_at = now;
  flows_.end(packet, flow);
  if (!flow.is_new || now < state.door_closed_at + settles) return true;
  state.is_wanted = true;
  static_cast<void>(tell());  // refused by the kernel: they come here for a while, and pass
  return false;
}

}  // namespace sipalg
