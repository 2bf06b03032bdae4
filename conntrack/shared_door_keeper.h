// SPDX-License-Identifier: GPL-2.0-or-later
// A door keeper for several workers: one at a time. The kernel does no better: every change of nf_tables and of expectations
// takes a lock of the namespace there (nf_tables_api.c: commit_mutex; nf_conntrack_expect.c: nf_conntrack_expect_lock).
#pragma once
#include <mutex>

#include "conntrack/door_keeper.h"

namespace sipalg {

class SharedDoorKeeper : public DoorKeeper {
 public:
  explicit SharedDoorKeeper(DoorKeeper& keeper) : keeper_(keeper) {}
  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                            DoorHandle sibling = 0) override;
  void close(std::span<const DoorHandle> handles) override;
  void flush() override;
  bool is_free(Protocol protocol, const Endpoint& outside) override;
  bool has_flow(std::span<const DoorHandle> handles) override;
  // For whoever calls the keeper itself.
  std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }

 private:
  DoorKeeper& keeper_;
  mutable std::mutex mutex_;
};

} // namespace sipalg
