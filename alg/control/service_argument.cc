// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/control/service_argument.h"

#include "alg/base/text.h"

namespace sipalg::control {
namespace {

std::optional<Protocol> parse_protocol(std::string_view text) {
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
    if (text == name_of(protocol)) return protocol;
  return std::nullopt;
}

}  // namespace

std::expected<ServiceArgument, Error> parse_service_argument(Command command, std::string_view text) {
  const bool has_port = command == Command::service_add || command == Command::service_remove;
  if (text.empty() && !has_port) return ServiceArgument{};
  const std::size_t blank = text.find(' ');
  const std::string_view word = text.substr(0, blank);
  ServiceArgument argument{parse_protocol(word), 0};
  if (!argument.protocol)
    return std::unexpected(Error{"'" + escaped(word) + "' is no protocol that carries SIP here", "say udp or tcp"});
  const std::string_view rest = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  if (!has_port && rest.empty()) return argument;
  const auto port = parse_number(rest, 65535);
  if (!has_port || !port || *port == 0)
    return std::unexpected(has_port ? Error{"'" + escaped(rest) + "' is no port", "say a number from 1 to 65535, such as 5070"}
                                    : Error{"'" + escaped(rest) + "' is too much", "on and off take a protocol at most"});
  argument.port = static_cast<uint16_t>(*port);
  return argument;
}

}  // namespace sipalg::control
