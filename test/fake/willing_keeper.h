// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel that says yes to everything and remembers nothing: where what the engine itself does is looked at.
#pragma once
#include "conntrack/door_keeper.h"

namespace sipalg::test {

class WillingKeeper : public DoorKeeper {
 public:
  std::expected<void, std::error_code> open(std::span<const KernelDoor>, std::span<DoorHandle> handles, DoorHandle) override {
    for (DoorHandle& handle : handles) handle = ++last_;
    return {};
  }
  void close(std::span<const DoorHandle>) override {}
  bool is_free(Protocol, const Endpoint&, const Endpoint&) override { return true; }
  bool has_flow(std::span<const DoorHandle>) override { return true; }

 private:
  DoorHandle last_ = 0;
};

}  // namespace sipalg::test
