// SPDX-License-Identifier: GPL-2.0-or-later
// Endpoints, networks and datagrams as they are named on the command line.
#pragma once
#include <string>

#include "alg/base/endpoint.h"

namespace sipalg {

inline constexpr uint16_t sip_port = 5060;

// "10.0.0.2", "10.0.0.2:6000", "[2001:db8::1]:5060", "2001:db8::1". A port that is not given is `default_port`.
// Throw CommandError (exit_usage) with what is expected of `option`.
Endpoint endpoint_argument(const std::string& option, const std::string& text, uint16_t default_port = sip_port);
Network network_argument(const std::string& option, const std::string& text);
Address address_argument(const std::string& option, const std::string& text);

enum class Side : uint8_t { inside, outside };  // where a datagram comes from

// "in:FILE" came from outside, "out:FILE" from inside, FILE from `default_side`.
struct DatagramArgument {
  Side from;
  std::string file;  // "-" is standard input
};
DatagramArgument datagram_argument(const std::string& text, Side default_side);

// Throws CommandError when it can not be read or is larger than a datagram.
std::string read_datagram(const std::string& file);

// "-" as --output takes standard output, where the text would be. Throws CommandError (exit_usage) when JSON is to be there too.
bool is_standard_output(const std::string& output, bool json);

}  // namespace sipalg
