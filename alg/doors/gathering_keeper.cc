// SPDX-License-Identifier: GPL-2.0-or-later
// See gathering_keeper.h.
#include "alg/doors/gathering_keeper.h"

#include "alg/base/listed.h"

namespace sipalg {

std::expected<void, std::error_code> GatheringKeeper::open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                                           DoorHandle sibling) {
  Wish wish{doors, handles, sibling};
  const Listed listed(waiting_, wish);
  while (other_work_ && !wish.result && other_work_()) {
  }
  if (!wish.result) settle();
  return *wish.result;
}

void GatheringKeeper::settle() {
  wishes_.clear();
  for (Wish* wish : waiting_)
    if (!wish->result) wishes_.push_back(wish);
  if (!wishes_.empty()) kernel_.open_all(wishes_);
}

}  // namespace sipalg
