// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/host_port.h"

namespace sipalg {

AddressText host_text(const Address& address) {
  AddressText text;
  const bool is_v6 = address.family() == Family::v6;
  if (is_v6) text.add('[');
  text.add(address);
  if (is_v6) text.add(']');
  return text;
}

AddressText host_port_text(const Endpoint& endpoint, bool had_port) {
  AddressText text = host_text(endpoint.address);
  if (!had_port && endpoint.port == sip_port) return text;
  text.add(':');
  text.add(endpoint.port);
  return text;
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
