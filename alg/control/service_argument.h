// SPDX-License-Identifier: GPL-2.0-or-later
// What stands behind `service add`, `remove`, `on` and `off`: "udp 5070", "tcp", or nothing.
#pragma once
#include <optional>

#include "alg/base/endpoint.h"
#include "alg/control/protocol.h"

namespace sipalg::control {

struct ServiceArgument {
  std::optional<Protocol> protocol;  // none: every protocol that is spoken (on, off)
  uint16_t port = 0;                 // add, remove
};
// sipalgctl asks before it sends, sipalgd when it comes.
std::expected<ServiceArgument, Error> parse_service_argument(Command command, std::string_view text);

}  // namespace sipalg::control
