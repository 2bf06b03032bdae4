// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/host_port.h"

namespace sipalg {

std::string host_text(const Address& address) {
  return address.family() == Family::v6 ? "[" + to_string(address) + "]" : to_string(address);
}

std::string host_port_text(const Endpoint& endpoint, bool had_port) {
  if (!had_port && endpoint.port == sip_port) return host_text(endpoint.address);
  return host_text(endpoint.address) + ":" + std::to_string(endpoint.port);
}

std::optional<Endpoint> endpoint_of(const sip::HostPort& host_port) {
  if (!host_port.address) return std::nullopt;
  return Endpoint{*host_port.address, host_port.port.is_set() ? host_port.port_number : sip_port};
}

std::optional<Endpoint> endpoint_of(const sip::Uri& uri) {
  if (uri.scheme != sip::Scheme::sip) return std::nullopt;
  if (uri.transport == sip::Transport::tls || uri.transport == sip::Transport::other) return std::nullopt;
  auto endpoint = endpoint_of(uri.host);
  if (!uri.maddr.host.is_set()) return endpoint;
  if (!uri.maddr.address) return std::nullopt;
  return Endpoint{*uri.maddr.address, uri.host.port.is_set() ? uri.host.port_number : sip_port};
}

Protocol protocol_of(const sip::Uri& uri, Protocol otherwise) {
  if (uri.transport == sip::Transport::tcp) return Protocol::tcp;
  return uri.transport == sip::Transport::udp ? Protocol::udp : otherwise;
}

}  // namespace sipalg
