// SPDX-License-Identifier: GPL-2.0-or-later
// The flows a masquerading router would make of what a capture shows, without a kernel.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "alg/packet/datagram.h"
#include "cli/offline_keeper.h"
#include "conntrack/flow.h"

namespace sipalg {

enum class Way : uint8_t { out, in, between_inside, not_inside };

class SourceNat {
 public:
  // `outside`: one address per family at most; a family without one is routed, not translated. Borrows the keeper: its
  // doors translate before masquerade does, as in the kernel.
  SourceNat(std::vector<Network> inside, std::vector<Address> outside, const OfflineKeeper& keeper)
      : inside_(std::move(inside)), outside_(std::move(outside)), keeper_(keeper) {}

  Way way_of(const DatagramView& view) const;
  // Of a packet that goes out or comes in, as it stands on the inside network.
  Flow flow_of(const DatagramView& view, Way way);

 private:
  bool is_inside(const Address& address) const;
  Endpoint outside_of(const Endpoint& inside, const Endpoint& remote);
  Endpoint masquerade(const Endpoint& inside, const Endpoint& remote, const Address& outside);

  std::vector<Network> inside_;
  std::vector<Address> outside_;
  const OfflineKeeper& keeper_;
  struct Known {  // what conntrack would remember
    Endpoint outside;
    Way began = Way::out;
  };
  std::map<std::pair<Endpoint, Endpoint>, Known> flows_;     // (inside, remote)
  std::map<std::pair<Endpoint, Endpoint>, Endpoint> taken_;  // (outside, remote) -> inside
};

// The packet with another source: addresses and port only; checksums are the caller's (replace_payload).
void set_source(std::vector<uint8_t>& packet, const DatagramView& view, const Endpoint& source);

}  // namespace sipalg
