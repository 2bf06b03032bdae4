// SPDX-License-Identifier: GPL-2.0-or-later
// What stands in our table: names, keys and data of its sets and maps.
#include <algorithm>
#include <set>

#include "conntrack/ruleset.h"

namespace sipalg::ruleset {
namespace {

const char* text_of(Scope scope) { return scope == Scope::one ? "one_" : scope == Scope::peers ? "peers_" : ""; }

using Bits = std::vector<uint8_t>; // an address as a number

Bits last_of(const Network& network) {
  Bits bits(network.address.bytes().begin(), network.address.bytes().end());
  for (unsigned bit = network.prefix; bit < bits.size() * 8; ++bit)
    bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | 0x80U >> bit % 8);
  return bits;
}

// The next address; empty behind the last one.
Bits after(Bits bits) {
  for (std::size_t i = bits.size(); i-- > 0;)
    if (++bits[i] != 0) return bits;
  return {};
}

bool is_whole(const Network& network) { return network.prefix == (network.address.family() == Family::v6 ? 128 : 32); }

} // namespace

std::optional<Scope> scope_of(const Network& network, const std::vector<Network>& peers) {
  if (network.is_any()) return Scope::any;
  if (is_whole(network)) return Scope::one;
  const auto holds = [&](const Network& peer) {
    return peer.prefix <= network.prefix && peer.contains(network.address);
  };
  if (std::any_of(peers.begin(), peers.end(), holds)) return Scope::peers;
  return {};
}

std::string digit(Family family) { return family == Family::v6 ? "6" : "4"; }
std::string name(const std::string& stem, Slot slot) {
  return stem + "_" + std::string(name_of(slot.protocol)) + digit(slot.family);
}
std::string ports_set(Protocol protocol) { return "ports_" + std::string(name_of(protocol)); }
std::vector<uint16_t> all_ports(const SteeringOptions& options) {
  std::set<uint16_t> ports(options.udp_ports.begin(), options.udp_ports.end());
  ports.insert(options.tcp_ports.begin(), options.tcp_ports.end());
  return {ports.begin(), ports.end()};
}
std::string door_map(bool in, Scope scope, Slot slot) {
  return std::string(in ? "in_" : "out_") + text_of(scope) + std::string(name_of(slot.protocol)) + digit(slot.family);
}

uint16_t queue_of(const SteeringOptions& options, Protocol protocol, uint32_t worker) {
  return static_cast<uint16_t>(options.queue + (protocol == Protocol::tcp ? 2 : worker == 0 ? 0 : 2 + 2 * worker));
}
uint32_t queue_count(uint32_t workers) { return 2 + 2 * workers; }
std::string worker_chain(uint32_t worker) { return "worker_" + std::to_string(worker + 1); }

nft::Bytes endpoint_key(const Endpoint& endpoint) {
  nft::Bytes key;
  nft::append(key, endpoint);
  return key;
}

nft::Element in_element(const Translation& translation, Scope scope) {
  nft::Element element{endpoint_key(translation.outside), endpoint_key(translation.inside), false};
  if (scope == Scope::one) nft::append(element.key, translation.scope.address);
  return element;
}

nft::Element out_element(const Translation& translation, Scope scope) {
  nft::Element element{endpoint_key(translation.inside), endpoint_key(translation.outside), false};
  if (scope == Scope::one) nft::append(element.key, translation.scope.address);
  return element;
}

std::vector<Network> disjoint(std::vector<Network> networks, Family family) {
  std::erase_if(networks, [&](const Network& n) { return n.address.family() != family; });
  std::sort(networks.begin(), networks.end(), [](const Network& a, const Network& b) {
    return a.address != b.address ? a.address < b.address : a.prefix < b.prefix;
  });
  std::vector<Network> kept;
  for (const Network& network : networks)
    if (kept.empty() || !kept.back().contains(network.address)) kept.push_back(network);
  return kept;
}

std::vector<nft::Element> intervals(const std::vector<Network>& networks, Family family) {
  std::vector<nft::Element> bounds;
  for (const Network& network : disjoint(networks, family)) {
    const auto bytes = network.address.bytes();
    Bits first(bytes.begin(), bytes.end());
    if (!bounds.empty() && bounds.back().interval_end && bounds.back().key == first)
      bounds.pop_back(); // neighbours become one interval
    else
      bounds.push_back({std::move(first), {}, false});
    if (Bits end = after(last_of(network)); !end.empty()) bounds.push_back({std::move(end), {}, true});
  }
  return bounds;
}

nft::Bytes port_key(uint16_t port) { return {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port & 0xff)}; }

std::vector<nft::Element> port_elements(const std::vector<uint16_t>& ports) {
  std::vector<nft::Element> elements;
  for (const uint16_t port : ports) elements.push_back({port_key(port), {}, false});
  return elements;
}

} // namespace sipalg::ruleset
