// SPDX-License-Identifier: GPL-2.0-or-later
// See shared_door_keeper.h.
#include "conntrack/shared_door_keeper.h"

namespace sipalg {

std::expected<void, std::error_code> SharedDoorKeeper::open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                                            DoorHandle sibling) {
  const auto held = lock();
  return keeper_.open(doors, handles, sibling);
}

void SharedDoorKeeper::close(std::span<const DoorHandle> handles) {
  const auto held = lock();
  keeper_.close(handles);
}

void SharedDoorKeeper::flush() {
  const auto held = lock();
  keeper_.flush();
}

bool SharedDoorKeeper::is_free(Protocol protocol, const Endpoint& outside) {
  const auto held = lock();
  return keeper_.is_free(protocol, outside);
}

bool SharedDoorKeeper::has_flow(std::span<const DoorHandle> handles) {
  const auto held = lock();
  return keeper_.has_flow(handles);
}

} // namespace sipalg
