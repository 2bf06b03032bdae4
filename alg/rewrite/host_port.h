// SPDX-License-Identifier: GPL-2.0-or-later
// Reading and writing "host[:port]" the way its writer wrote it.
#pragma once
#include <optional>
#include <string>

#include "alg/sip/message.h"

namespace sipalg {

inline constexpr uint16_t sip_port = 5060;  // RFC 3261 section 19.1.2

AddressText host_text(const Address& address);  // IPv6 in brackets
// The same shape as before: a port only where one stood, or where the default would be wrong.
AddressText host_port_text(const Endpoint& endpoint, bool had_port);

// The endpoint a literal names, default port filled in. Nothing for a name.
std::optional<Endpoint> endpoint_of(const sip::HostPort& host_port);
// Where a URI leads: maddr before host (RFC 3261 section 19.1.1). Nothing for names, tel:, sips: and TLS.
std::optional<Endpoint> endpoint_of(const sip::Uri& uri);
Protocol protocol_of(const sip::Uri& uri, Protocol otherwise);

}  // namespace sipalg
