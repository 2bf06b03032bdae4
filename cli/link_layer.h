// SPDX-License-Identifier: GPL-2.0-or-later
// Where the IP packet stands in a captured frame.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace sipalg {

// DLT_ numbers of libpcap: Ethernet (with VLAN tags and PPPoE), Linux cooked 1 and 2, raw IP, BSD loopback.
bool is_known_link_type(int link_type);

// The IP packet, cut to the length its header tells (padding is not part of it). None: something else, or cut short.
std::optional<std::span<const uint8_t>> find_ip(int link_type, std::span<const uint8_t> frame);

}  // namespace sipalg
