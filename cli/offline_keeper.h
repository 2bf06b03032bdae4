// SPDX-License-Identifier: GPL-2.0-or-later
// A door keeper without a kernel: it says yes to everything and remembers it, for the offline commands.
#pragma once
#include <map>
#include <optional>

#include "conntrack/door_keeper.h"

namespace sipalg {

class OfflineKeeper : public DoorKeeper {
 public:
  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                            DoorHandle sibling = 0) override;
  void close(std::span<const DoorHandle> handles) override;
  bool is_free(Protocol, const Endpoint&, const Endpoint&) override { return true; }
  bool has_flow(std::span<const DoorHandle> handles) override;

  // A packet went from or to this inside endpoint: for has_flow().
  void saw_packet(const Endpoint& inside, Instant now);

  // As our NAT maps would translate: what packets of `inside` towards `remote` leave as.
  std::optional<Endpoint> outside_of(const Endpoint& inside, const Address& remote) const;

 private:
  std::map<DoorHandle, KernelDoor> doors_;
  std::map<Endpoint, Instant> seen_;
  DoorHandle last_ = 0;
  Instant now_{};
};

}  // namespace sipalg
