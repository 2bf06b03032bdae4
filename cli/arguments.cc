// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/arguments.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "alg/base/text.h"
#include "cli/client.h"

namespace sipalg {
namespace {

constexpr std::size_t largest_datagram = 65'507;

[[noreturn]] void fail(const std::string& option, const std::string& text, const char* expected) {
  throw CommandError(option + ": '" + escaped(text) + "' is not " + expected, exit_usage);
}

bool has_port(const std::string& text) { return text.find(text.front() == '[' ? "]:" : ":") != std::string::npos; }

}  // namespace

Endpoint endpoint_argument(const std::string& option, const std::string& text, uint16_t default_port) {
  const char* expected = "an address with an optional port, such as 192.0.2.1, 192.0.2.1:5060 or [2001:db8::1]:5060";
  auto endpoint = parse_endpoint(text);
  if (!endpoint) fail(option, text, expected);
  const bool v6_without_brackets = endpoint->address.family() == Family::v6 && text.front() != '[';
  if (endpoint->port == 0 && has_port(text) && !v6_without_brackets) fail(option, text, expected);  // ":0" is no port
  if (endpoint->port == 0) endpoint->port = default_port;
  return *endpoint;
}

Network network_argument(const std::string& option, const std::string& text) {
  const auto network = parse_network(text);
  if (!network) fail(option, text, "a network such as 192.168.1.0/24 or 2001:db8:1::/48");
  return *network;
}

Address address_argument(const std::string& option, const std::string& text) {
  const auto address = parse_address(text);
  if (!address) fail(option, text, "an address such as 203.0.113.1 or 2001:db8::1");
  return *address;
}

DatagramArgument datagram_argument(const std::string& text, Side default_side) {
  if (text.starts_with("in:")) return {Side::outside, text.substr(3)};
  if (text.starts_with("out:")) return {Side::inside, text.substr(4)};
  return {default_side, text};
}

std::string read_datagram(const std::string& file) {
  std::ifstream opened;
  if (file != "-") opened.open(file, std::ios::binary);
  std::istream& in = file == "-" ? std::cin : opened;
  std::string bytes(largest_datagram + 1, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in.eof() && in.fail()) throw CommandError(file + " can not be read: " + std::strerror(errno));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  if (bytes.size() > largest_datagram) throw CommandError(file + " is larger than a UDP datagram (65507 bytes)");
  return bytes;
}

bool is_standard_output(const std::string& output, bool json) {
  if (output != "-") return false;
  if (json) throw CommandError("--json and --output - both take standard output; name a file for --output", exit_usage);
  return true;
}

}  // namespace sipalg
