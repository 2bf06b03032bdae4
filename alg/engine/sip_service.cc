// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/engine/sip_service.h"

#include <algorithm>
#include <array>

namespace sipalg {

// The ports that conntrack/ruleset.cc (match) asks for: original destination and source, reply source.
bool SipService::takes(const Flow& flow) const {
  const Line& line = of(flow.protocol);
  if (!line.on) return false;
  const FlowEnd& beginner = flow.begun_by_sender ? flow.sender : flow.receiver;
  const FlowEnd& other = flow.begun_by_sender ? flow.receiver : flow.sender;
  const std::array ports{other.outside.port, beginner.inside.port, other.inside.port};
  const auto is_in_service = [&](uint16_t port) { return std::ranges::binary_search(line.ports, port); };
  return std::ranges::any_of(ports, is_in_service) ||
         std::ranges::none_of(ports, [&](uint16_t port) { return line.removed.contains(port); });
}

}  // namespace sipalg
