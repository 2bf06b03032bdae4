// SPDX-License-Identifier: GPL-2.0-or-later
// Our nftables table: made at start, changed by transactions, gone with its socket.
#include "conntrack/steering.h"

#include <algorithm>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "conntrack/ruleset.h"

namespace sipalg {
namespace {

using ruleset::Scope;
using ruleset::Slot;

Slot slot_of(Protocol protocol, const Endpoint& endpoint) { return {protocol, endpoint.address.family()}; }

// All networks of the peers share one pair of maps, so their translations are one.
Translation canonical(const Translation& translation, Scope scope) {
  Translation t = translation;
  if (scope == Scope::peers) t.scope = {t.outside.address, 0};
  return t;
}
Scope scope_of_canonical(const Translation& t) {
  if (t.scope.is_any()) return Scope::any;
  return t.scope.prefix == 0 ? Scope::peers : Scope::one;
}

Birth parse_birth(Protocol protocol, const nft::Bytes& source, const nft::Bytes& destination) {
  const std::size_t length = source.size() - 8; // address, port padded to 4, third field
  const auto endpoint = [&](const nft::Bytes& data) {
    return Endpoint{Address::from_bytes({data.data(), length}),
                    static_cast<uint16_t>(data[length] << 8 | data[length + 1])};
  };
  Birth birth{{protocol, endpoint(source), endpoint(destination)}, 0, 0};
  std::memcpy(&birth.zone, &source[length + 4], sizeof birth.zone);
  std::memcpy(&birth.status, &destination[length + 4], sizeof birth.status);
  return birth;
}

std::size_t birth_length(Family family) { return (family == Family::v6 ? 16U : 4U) + 8U; }

} // namespace

bool SteeringChange::empty() const {
  return add_endpoints.empty() && remove_endpoints.empty() && add_translations.empty() && remove_translations.empty();
}

SteeringChange SteeringChange::undo() const {
  return {remove_endpoints, add_endpoints, remove_translations, add_translations};
}

std::string_view name_of(Steering::Way way) {
  switch (way) {
  case Steering::Way::manual:
    return "manual";
  case Steering::Way::native:
    return "native";
  case Steering::Way::compat:
    return "compat";
  }
  return "?";
}

// What one change means: counts afterwards, and which of them are new or gone.
struct Steering::Pending {
  std::map<SteeringEndpoint, uint32_t> endpoints;
  std::map<Translation, uint32_t> translations;
  std::error_code error;
};

Steering::Steering(SteeringOptions options) : options_(std::move(options)), socket_(NETLINK_NETFILTER) {
  if (const auto result = install(); !result)
    throw std::system_error(result.error(), "nftables table inet " + options_.table);
}

// The kernel may lack the queue expression (then xt_NFQUEUE does it) or ct timeouts: tried from best to least.
Steering::Result Steering::install() {
  Result result;
  for (const ruleset::Abilities abilities : {ruleset::Abilities{true, true}, ruleset::Abilities{false, true},
                                             ruleset::Abilities{true, false}, ruleset::Abilities{false, false}}) {
    NetlinkBatch batch;
    nft::begin_batch(batch);
    ruleset::put_table(batch, options_, abilities);
    result = commit(batch);
    if (result) {
      way_ = options_.manual ? Way::manual : abilities.native_queue ? Way::native : Way::compat;
      return result;
    }
    if (result.error() == errno_code(EEXIST) || result.error() == errno_code(EPERM)) return result;
  }
  return result;
}

Steering::Result Steering::commit(NetlinkBatch& batch) {
  nft::end_batch(batch);
  if (const auto error = first_error(socket_.exchange(batch, {}, NetlinkSocket::everything)))
    return std::unexpected(error);
  return {};
}

Steering::Result Steering::set_ports(std::vector<uint16_t> udp, std::vector<uint16_t> tcp) {
  if (!options_.tcp && !tcp.empty()) return std::unexpected(errno_code(EINVAL));
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    nft::put_flush(batch, options_.table, ruleset::ports_set(protocol));
    nft::put_elements(batch, options_.table, ruleset::ports_set(protocol),
                      ruleset::port_elements(protocol == Protocol::udp ? udp : tcp));
  }
  const Result result = commit(batch);
  if (result) options_.udp_ports = std::move(udp), options_.tcp_ports = std::move(tcp);
  return result;
}

static void put_networks(NetlinkBatch& batch, const std::string& table, const std::string& set,
                         const std::vector<Network>& networks, Family family) {
  nft::put_flush(batch, table, set);
  nft::put_elements(batch, table, set, ruleset::intervals(networks, family));
}

Steering::Result Steering::set_inside(std::vector<Network> networks) {
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Family family : ruleset::families)
    put_networks(batch, options_.table, ruleset::inside_set(family), networks, family);
  const Result result = commit(batch);
  if (result) options_.inside = std::move(networks);
  return result;
}

Steering::Result Steering::set_peers(std::vector<Network> networks) {
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Family family : ruleset::families)
    put_networks(batch, options_.table, ruleset::peers_set(family), networks, family);
  const Result result = commit(batch);
  if (result) options_.peers = std::move(networks);
  return result;
}

namespace {

// Adds `by` to what `known` has for the key; never below 0.
template <typename T> void add(std::map<T, uint32_t>& after, const std::map<T, uint32_t>& known, const T& key, int by) {
  auto [place, is_new] = after.try_emplace(key, 0);
  if (const auto found = known.find(key); is_new && found != known.end()) place->second = found->second;
  if (by > 0) ++place->second;
  if (by < 0 && place->second > 0) --place->second;
}

template <typename T> bool holds(const std::map<T, uint32_t>& counts, const T& key) {
  const auto found = counts.find(key);
  return found != counts.end() && found->second > 0;
}

template <typename T> void take_over(std::map<T, uint32_t>& known, const std::map<T, uint32_t>& after) {
  for (const auto& [key, count] : after) {
    if (count == 0)
      known.erase(key);
    else
      known[key] = count;
  }
}

} // namespace

void Steering::count(Pending& pending, const SteeringChange& change) const {
  for (const auto& endpoint : change.remove_endpoints) add(pending.endpoints, endpoints_, endpoint, -1);
  for (const auto& endpoint : change.add_endpoints) add(pending.endpoints, endpoints_, endpoint, 1);
  const auto each = [&](const std::vector<Translation>& translations, int by) {
    for (const auto& translation : translations) {
      if (translation.inside == translation.outside) continue;
      // A network that has left the configured peers can still be taken away.
      const auto scope = ruleset::scope_of(translation.scope, options_.peers);
      if (!scope && by > 0) pending.error = errno_code(EINVAL);
      add(pending.translations, translations_, canonical(translation, scope.value_or(Scope::peers)), by);
    }
  };
  each(change.remove_translations, -1);
  each(change.add_translations, 1);
}

// Two elements for a translation, one for an endpoint.
static void put_translation(NetlinkBatch& batch, const std::string& table, const Translation& t, bool adding) {
  const Scope scope = scope_of_canonical(t);
  const Slot slot = slot_of(t.protocol, t.outside);
  const nft::Element in = ruleset::in_element(t, scope), out = ruleset::out_element(t, scope);
  const auto put = adding ? nft::put_elements : nft::put_elements_delete;
  put(batch, table, ruleset::door_map(true, scope, slot), {&in, 1});
  put(batch, table, ruleset::door_map(false, scope, slot), {&out, 1});
}

static void put_endpoint(NetlinkBatch& batch, const std::string& table, const SteeringEndpoint& e, bool adding) {
  const nft::Element element{ruleset::endpoint_key(e.endpoint), {}, false};
  const auto put = adding ? nft::put_elements : nft::put_elements_delete;
  put(batch, table, ruleset::endpoints_set(slot_of(e.protocol, e.endpoint)), {&element, 1});
}

Steering::Result Steering::apply(const SteeringChange& change) {
  Pending pending;
  count(pending, change);
  if (pending.error) return std::unexpected(pending.error);
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const bool adding : {false, true}) { // what goes makes room first
    for (const auto& [key, count] : pending.endpoints)
      if ((count > 0) == adding && holds(endpoints_, key) != adding) put_endpoint(batch, options_.table, key, adding);
    for (const auto& [key, count] : pending.translations)
      if ((count > 0) == adding && holds(translations_, key) != adding)
        put_translation(batch, options_.table, key, adding);
  }
  if (batch.count() > 1)
    if (const auto result = commit(batch); !result) return result;
  take_over(endpoints_, pending.endpoints);
  take_over(translations_, pending.translations);
  return {};
}

Steering::Result Steering::stop() {
  NetlinkBatch batch;
  nft::begin_batch(batch);
  nft::put_rules_delete(batch, options_.table, "sipalg");
  return commit(batch);
}

std::size_t Steering::endpoint_count(Protocol protocol) const {
  return static_cast<std::size_t>(
      std::count_if(endpoints_.begin(), endpoints_.end(), [=](const auto& e) { return e.first.protocol == protocol; }));
}

std::expected<Birth, std::error_code> Steering::find_birth(const Tuple& header) {
  const Slot slot = slot_of(header.protocol, header.source);
  nft::Bytes key = ruleset::endpoint_key(header.source);
  nft::append(key, header.destination);
  NetlinkBatch batch;
  nft::put_element_get(batch, options_.table, ruleset::birth_sources(slot), key);
  nft::put_element_get(batch, options_.table, ruleset::birth_destinations(slot), key);
  std::array<nft::Bytes, 2> data;
  const auto results =
      socket_.exchange(batch, [&](std::size_t i, const nlmsghdr& m) { data[i] = nft::element_data(m); });
  if (const auto error = first_error(results)) return std::unexpected(error);
  for (const auto& half : data)
    if (half.size() != birth_length(slot.family)) return std::unexpected(errno_code(ENOENT));
  return parse_birth(header.protocol, data[0], data[1]);
}

bool Steering::has_flowtables() {
  NetlinkBatch batch;
  batch.begin_netfilter(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETFLOWTABLE, NLM_F_ACK, NFPROTO_UNSPEC);
  batch.end();
  bool found = false;
  static_cast<void>(socket_.dump(batch, [&](const nlmsghdr&) { found = true; }));
  return found;
}

// A set that is not there has none of them.
std::expected<std::vector<uint16_t>, std::error_code> Steering::find_missing_ports(const std::string& table, const std::string& set,
                                                                                   std::span<const uint16_t> ports) {
  NetlinkBatch batch;
  nft::put_table_get(batch, table);
  for (const uint16_t port : ports)  // a key of its own has no padding, unlike one field of several
    nft::put_element_get(batch, table, set, {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port & 0xff)});
  const auto results = socket_.exchange(batch);
  if (results[0]) return std::unexpected(results[0]);
  std::vector<uint16_t> missing;
  for (std::size_t i = 0; i < ports.size(); ++i)
    if (results[i + 1]) missing.push_back(ports[i]);
  return missing;
}

} // namespace sipalg
