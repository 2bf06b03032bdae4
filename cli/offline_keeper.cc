// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/offline_keeper.h"

#include <algorithm>

namespace sipalg {
namespace {

constexpr std::chrono::seconds flow_lifetime{120};  // nf_conntrack_udp_timeout_stream
constexpr std::size_t most_seen = 65'536;

}  // namespace

std::expected<void, std::error_code> OfflineKeeper::open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                                         DoorHandle) {
  for (std::size_t i = 0; i < doors.size(); ++i) {
    doors_[++last_] = doors[i];
    handles[i] = last_;
  }
  return {};
}

void OfflineKeeper::close(std::span<const DoorHandle> handles) {
  for (DoorHandle handle : handles) doors_.erase(handle);
}

bool OfflineKeeper::has_flow(std::span<const DoorHandle> handles) {
  return std::ranges::any_of(handles, [this](DoorHandle handle) {
    const auto door = doors_.find(handle);
    if (door == doors_.end()) return false;
    const auto seen = seen_.find(door->second.inside);
    return seen != seen_.end() && now_ - seen->second <= flow_lifetime;
  });
}

void OfflineKeeper::saw_packet(const Endpoint& inside, Instant now) {
  now_ = now;
  if (seen_.size() < most_seen || seen_.contains(inside)) seen_[inside] = now;
}

std::optional<Endpoint> OfflineKeeper::outside_of(const Endpoint& inside, const Address& remote) const {
  std::optional<Endpoint> found;
  for (const auto& [handle, door] : doors_) {
    if (door.kind != KernelDoor::Kind::inbound || door.protocol != Protocol::udp || door.inside != inside) continue;
    if (!door.scope.contains(remote)) continue;
    if (!found || !door.scope.is_any()) found = door.outside;  // the narrower scope wins, as in the kernel
  }
  return found;
}

}  // namespace sipalg
