// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/source_nat.h"

#include <algorithm>

#include "alg/base/limits.h"

namespace sipalg {

bool SourceNat::is_inside(const Address& address) const {
  return std::ranges::any_of(inside_, [&](const Network& network) { return network.contains(address); });
}

Way SourceNat::way_of(const DatagramView& view) const {
  const bool from_inside = is_inside(view.source.address), to_inside = is_inside(view.destination.address);
  if (from_inside && to_inside) return Way::between_inside;
  return from_inside ? Way::out : to_inside ? Way::in : Way::not_inside;
}

Flow SourceNat::flow_of(const DatagramView& view, Way way) {
  const Endpoint& inside = way == Way::out ? view.source : view.destination;
  const Endpoint& remote = way == Way::out ? view.destination : view.source;
  const auto [known, is_new] = flows_.try_emplace({inside, remote});
  if (is_new) known->second = {outside_of(inside, remote), way};
  const FlowEnd ours{inside, known->second.outside}, theirs{remote, remote};
  const bool begun_by_sender = known->second.began == way;
  return way == Way::out ? Flow{view.protocol, ours, theirs, 0, begun_by_sender, is_new}
                         : Flow{view.protocol, theirs, ours, 0, begun_by_sender, is_new};
}

Endpoint SourceNat::outside_of(const Endpoint& inside, const Endpoint& remote) {
  const auto address = std::ranges::find(outside_, inside.address.family(), &Address::family);
  if (address == outside_.end()) return inside;
  const Endpoint outside = keeper_.outside_of(inside, remote.address).value_or(masquerade(inside, remote, *address));
  taken_[{outside, remote}] = inside;
  return outside;
}

// The same port where it is free towards this remote, else the next one.
Endpoint SourceNat::masquerade(const Endpoint& inside, const Endpoint& remote, const Address& outside) {
  Endpoint choice{outside, inside.port};
  for (unsigned tries = 0; tries < 65'536 && taken_.contains({choice, remote}); ++tries)
    choice.port = choice.port == 65'535 ? limits::lowest_port : static_cast<uint16_t>(choice.port + 1);
  return choice;
}

void set_source(std::vector<uint8_t>& packet, const DatagramView& view, const Endpoint& source) {
  const std::ptrdiff_t at = source.address.family() == Family::v4 ? 12 : 8;
  std::ranges::copy(source.address.bytes(), packet.begin() + at);
  packet[view.transport_offset] = static_cast<uint8_t>(source.port >> 8);
  packet[view.transport_offset + 1] = static_cast<uint8_t>(source.port & 0xff);
}

}  // namespace sipalg
