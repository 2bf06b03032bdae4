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

} // namespace

bool SteeringChange::empty() const {
  return add_endpoints.empty() && remove_endpoints.empty() && add_translations.empty() && remove_translations.empty();
}

void SteeringChange::clear() {
  add_endpoints.clear(), remove_endpoints.clear();
  add_translations.clear(), remove_translations.clear();
}

void SteeringChange::add(const SteeringChange& other) {
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(add_endpoints, other.add_endpoints), append(remove_endpoints, other.remove_endpoints);
  append(add_translations, other.add_translations), append(remove_translations, other.remove_translations);
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

SecondDaemon::SecondDaemon(const std::string& table)
    : std::runtime_error("another sipalgd is alive in this network namespace: its table is inet " + table +
                         "; stop it first, two would take the same packets and close each other's doors") {}

// Looked for twice: a table that goes again costs the living daemon what is in its queue, and two may start together.
Steering::Steering(SteeringOptions options) : options_(std::move(options)), socket_(NETLINK_NETFILTER) {
  refuse_second();
  if (const auto result = install(); !result)
    throw std::system_error(result.error(), "nftables table inet " + options_.table);
  refuse_second();
  for (const bool in : {false, true})
    for (const Scope scope : ruleset::scopes)
      for (const Slot slot : ruleset::slots) maps_.emplace_back(options_.table, ruleset::door_map(in, scope, slot));
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

void Steering::refuse_second() {
  NetlinkBatch question;
  nft::put_tables_get(question);
  std::optional<std::string> other;
  const auto look = [&](const nlmsghdr& m) {
    const nft::TableReply table = nft::parse_table(m);
    if (table.comment == ruleset::table_comment && table.owner != 0 && table.owner != socket_.portid()) other = table.name;
  };
  if (const auto seen = socket_.dump(question, look); !seen) throw std::system_error(seen.error(), "reading the nftables tables");
  if (other) throw SecondDaemon(*other);
}

Steering::Result Steering::commit(NetlinkBatch& batch) {
  const std::lock_guard lock(mutex_);
  nft::end_batch(batch);
  if (const auto error = first_error(socket_.exchange(batch, {}, NetlinkSocket::everything)))
    return std::unexpected(error);
  return {};
}

NetlinkSocket::Results Steering::ask(NetlinkBatch& questions) {
  const std::lock_guard lock(mutex_);
  return socket_.exchange(questions);
}

Steering::Result Steering::set_ports(std::vector<uint16_t> udp, std::vector<uint16_t> tcp) {
  const std::lock_guard lock(mutex_);
  if (!options_.tcp && !tcp.empty()) return std::unexpected(errno_code(EINVAL));
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    nft::put_flush(batch, options_.table, ruleset::ports_set(protocol));
    nft::put_elements(batch, options_.table, ruleset::ports_set(protocol),
                      ruleset::port_elements(protocol == Protocol::udp ? udp : tcp));
  }
  SteeringOptions next = options_;
  next.udp_ports = udp, next.tcp_ports = tcp;
  std::vector<uint16_t> every = ruleset::all_ports(next);
  for (const auto& [port, count] : endpoint_ports_) every.push_back(port);
  nft::put_flush(batch, options_.table, ruleset::signalling_ports);
  nft::put_elements(batch, options_.table, ruleset::signalling_ports, ruleset::port_elements(every));
  nft::put_rules_delete(batch, options_.table, ruleset::first_look);
  ruleset::put_first_look(batch, next);
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
  const std::lock_guard lock(mutex_);
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Family family : ruleset::families)
    put_networks(batch, options_.table, ruleset::inside_set(family), networks, family);
  const Result result = commit(batch);
  if (result) options_.inside = std::move(networks);
  return result;
}

Steering::Result Steering::set_peers(std::vector<Network> networks) {
  const std::lock_guard lock(mutex_);
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Family family : ruleset::families)
    put_networks(batch, options_.table, ruleset::peers_set(family), networks, family);
  const Result result = commit(batch);
  if (result) options_.peers = std::move(networks);
  return result;
}

// --- doors ---

// The endpoints of a change and how many owners they have after it.
Steering::EndpointCounts Steering::count(const SteeringChange& change) const {
  EndpointCounts after;
  const auto count_of = [&](const SteeringEndpoint& endpoint) -> uint32_t& {
    const auto [place, is_new] = after.try_emplace(endpoint, 0);
    if (const auto known = endpoints_.find(endpoint); is_new && known != endpoints_.end()) place->second = known->second;
    return place->second;
  };
  for (const auto& endpoint : change.remove_endpoints)
    if (uint32_t& count = count_of(endpoint); count > 0) --count;
  for (const auto& endpoint : change.add_endpoints) ++count_of(endpoint);
  return after;
}

// How many endpoints have each port of those that come or go, afterwards.
Steering::PortCounts Steering::count_ports(const EndpointCounts& endpoints) const {
  PortCounts after;
  for (const auto& [endpoint, count] : endpoints) {
    const uint16_t port = endpoint.endpoint.port;
    const auto [place, is_new] = after.try_emplace(port, 0);
    if (const auto known = endpoint_ports_.find(port); is_new && known != endpoint_ports_.end()) place->second = known->second;
    const bool was_there = endpoints_.contains(endpoint);
    if (count > 0 && !was_there) ++place->second;
    if (count == 0 && was_there) --place->second;
  }
  return after;
}

bool Steering::is_configured(uint16_t port) const {
  const auto has = [port](const std::vector<uint16_t>& ports) { return std::find(ports.begin(), ports.end(), port) != ports.end(); };
  return has(options_.udp_ports) || has(options_.tcp_ports);
}

// Sorted by map, so that each map gets one message.
Steering::Result Steering::gather(const std::vector<Translation>& from, bool adding, Translations& into) const {
  into.clear();
  for (const Translation& translation : from) {
    if (translation.inside == translation.outside) continue;
    // A network that has left the configured peers can still be taken away.
    const auto scope = ruleset::scope_of(translation.scope, options_.peers);
    if (!scope && adding) return std::unexpected(errno_code(EINVAL));
    into.push_back(canonical(translation, scope.value_or(Scope::peers)));
  }
  std::ranges::sort(into, [this](const Translation& a, const Translation& b) {
    const nft::SetHead *map_a = &map_head(true, a), *map_b = &map_head(true, b);
    return map_a != map_b ? map_a < map_b : a < b;
  });
  return {};
}

// As far as we know each translation of the change has one owner: the door that comes or goes.
bool Steering::has_single_owners() const {
  for (const Translations* all : {&adds_, &removes_}) {
    if (std::ranges::adjacent_find(*all) != all->end()) return false;
    if (!more_owners_.empty() && std::ranges::any_of(*all, [this](const auto& t) { return more_owners_.contains(t); })) return false;
  }
  return true;
}

const nft::SetHead& Steering::map_head(bool in, const Translation& canonical) const {
  const std::size_t v6 = canonical.outside.address.family() == Family::v6 ? 1 : 0, tcp = canonical.protocol == Protocol::tcp ? 2 : 0;
  const std::size_t scope = static_cast<std::size_t>(scope_of_canonical(canonical));
  return maps_[((in ? ruleset::scopes.size() : 0) + scope) * ruleset::slots.size() + tcp + v6];
}

void Steering::put_endpoints(const EndpointCounts& endpoints, bool adding) {
  for (const auto& [e, count] : endpoints) {
    if ((count > 0) != adding || endpoints_.contains(e) == adding) continue;
    const nft::Element element{ruleset::endpoint_key(e.endpoint), {}, false};
    const auto put = adding ? nft::put_elements : nft::put_elements_delete;
    put(batch_, options_.table, ruleset::endpoints_set(slot_of(e.protocol, e.endpoint)), {&element, 1});
  }
}

void Steering::put_ports(const PortCounts& ports, bool adding) {
  const auto put = adding ? nft::put_elements : nft::put_elements_delete;
  for (const auto& [port, count] : ports)
    if ((count > 0) == adding && endpoint_ports_.contains(port) != adding && !is_configured(port))
      put(batch_, options_.table, ruleset::signalling_ports, ruleset::port_elements({port}));
}

void Steering::put_translations(Translations& translations, bool adding) {
  using Messages = nft::ElementMessages;
  Messages messages(batch_, adding ? Messages::Action::add : Messages::Action::remove);
  for (const bool in : {true, false}) {
    for (const Translation& t : translations) {
      nft::Key key, data;
      key.append(in ? t.outside : t.inside);
      if (scope_of_canonical(t) == Scope::one) key.append(t.scope.address);
      data.append(in ? t.inside : t.outside);
      messages.add(map_head(in, t), key, adding ? &data : nullptr);
    }
  }
  messages.end();
}

Steering::Result Steering::apply(const SteeringChange& change) {
  const std::lock_guard lock(mutex_);
  if (const auto gathered = gather(change.add_translations, true, adds_); !gathered) return gathered;
  static_cast<void>(gather(change.remove_translations, false, removes_));
  EndpointCounts endpoints = count(change);
  Result result = has_single_owners() ? send(endpoints) : std::unexpected(errno_code(EEXIST));
  if (!result && (result.error() == errno_code(EEXIST) || result.error() == errno_code(ENOENT))) result = send_shared(endpoints);
  if (!result) return result;
  for (const auto& [port, owners] : count_ports(endpoints)) owners > 0 ? void(endpoint_ports_[port] = owners) : void(endpoint_ports_.erase(port));
  for (const auto& [endpoint, owners] : endpoints) owners > 0 ? void(endpoints_[endpoint] = owners) : void(endpoints_.erase(endpoint));
  return {};
}

// What goes makes room first.
Steering::Result Steering::send(const EndpointCounts& endpoints) {
  batch_.clear();
  nft::begin_batch(batch_);
  const PortCounts ports = count_ports(endpoints);
  put_endpoints(endpoints, false);
  put_ports(ports, false);
  put_translations(removes_, false);
  put_endpoints(endpoints, true);
  put_ports(ports, true);
  put_translations(adds_, true);
  return batch_.count() > 1 ? commit(batch_) : Result{};
}

// Owners of a translation are counted before and after the change; sent is what has none any more or had none.
Steering::Result Steering::send_shared(const EndpointCounts& endpoints) {
  std::map<Translation, std::pair<uint32_t, uint32_t>> owners; // before, after
  for (const bool adding : {false, true}) {
    for (const Translation& t : adding ? adds_ : removes_) {
      const auto [place, is_new] = owners.try_emplace(t);
      auto& [before, after] = place->second;
      if (is_new) {
        const auto known = owners_of(t);
        if (!known && adding) return std::unexpected(known.error());
        before = after = known.value_or(0);
      }
      if (adding) ++after;
      if (!adding && after > 0) --after;
    }
  }
  const auto is_sent = [&](const Translation& t, bool adding) {
    const auto& [before, after] = owners.at(t);
    return adding ? before == 0 && after > 0 : before > 0 && after == 0;
  };
  for (const bool adding : {false, true}) {
    Translations& all = adding ? adds_ : removes_;
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::erase_if(all, [&](const Translation& t) { return !is_sent(t, adding); });
  }
  if (const Result result = send(endpoints); !result) return result;
  for (const auto& [t, counts] : owners) counts.second > 1 ? void(more_owners_[t] = counts.second - 1) : void(more_owners_.erase(t));
  return {};
}

// 0 when the kernel has none. EBUSY: what it has leads elsewhere.
std::expected<uint32_t, std::error_code> Steering::owners_of(const Translation& t) {
  const Scope scope = scope_of_canonical(t);
  const nft::Element in = ruleset::in_element(t, scope);
  NetlinkBatch question;
  nft::put_element_get(question, options_.table, ruleset::door_map(true, scope, slot_of(t.protocol, t.outside)), in.key);
  nft::Bytes leads_to;
  const auto results = socket_.exchange(question, [&](std::size_t, const nlmsghdr& m) { leads_to = nft::element_data(m); });
  if (results[0] == errno_code(ENOENT)) return 0;
  if (results[0]) return std::unexpected(results[0]);
  if (leads_to != in.data) return std::unexpected(errno_code(EBUSY));
  const auto more = more_owners_.find(t);
  return 1 + (more == more_owners_.end() ? 0 : more->second);
}

Steering::Result Steering::stop() {
  NetlinkBatch batch;
  nft::begin_batch(batch);
  nft::put_rules_delete(batch, options_.table, ruleset::first_look);
  return commit(batch);
}

std::size_t Steering::endpoint_count(Protocol protocol) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(endpoints_.begin(), endpoints_.end(), [=](const auto& e) { return e.first.protocol == protocol; }));
}

bool Steering::has_flowtables() {
  const std::lock_guard lock(mutex_);
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
  const std::lock_guard lock(mutex_);
  NetlinkBatch batch;
  nft::put_table_get(batch, table);
  for (const uint16_t port : ports) nft::put_element_get(batch, table, set, ruleset::port_key(port));
  const auto results = socket_.exchange(batch);
  if (results[0]) return std::unexpected(results[0]);
  std::vector<uint16_t> missing;
  for (std::size_t i = 0; i < ports.size(); ++i)
    if (results[i + 1]) missing.push_back(ports[i]);
  return missing;
}

} // namespace sipalg
