// SPDX-License-Identifier: GPL-2.0-or-later
// Our nftables table: which packets come to the queue, and the translations of the doors.
//
// How it works. One table, owned by one socket (flag owner): nobody else changes it, and it ends with the process,
// SIGKILL included (test/conntrack: steering). So a table with an owner and our comment is a living daemon's, and a second one
// in the same network namespace does not start: both would take the same packets and each other's anchors. In it:
//
//     chain sipalg     postrouting 150   who is signalling, by the conntrack tuple  -> take_udp, take_tcp
//     chain take_udp                     ct timeout, births map, queue (with bypass)
//     chain doors_in   prerouting -99    dnat by maps      \  three scopes: one remote address, the configured
//     chain doors_out  postrouting 99    snat by maps      /  peers, everybody
//
// Without NFQA_CT (births()): a packet whose conntrack is not confirmed can not be looked up, so its original tuple is
// written into a map under its header and the packet takes queue number + 1.
// Every apply() is one transaction: all of it or nothing. Two doors may share an endpoint or a translation, so both are
// counted. Nearly every translation has one owner, and the kernel knows that it is there: only further owners are kept
// here. A change is sent as if each translation in it had one; when the kernel says otherwise (or we know better) it is
// asked for each, and the change is sent anew.
// May be called by several threads; options() by the one alone that calls what changes them.
#pragma once
#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "alg/base/endpoint.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/netlink.h"
#include "conntrack/nft.h"

namespace sipalg {

struct SteeringOptions {
  std::string table = "sipalg"; // table inet NAME
  uint16_t queue = 5060;        // as ruleset::queue_of
  uint32_t workers = 1;         // whose queues UDP is spread over, by inside host
  std::vector<uint16_t> udp_ports{5060};
  bool tcp = false;                                // false: TCP is not steered at all, endpoints of TCP doors neither
  std::vector<uint16_t> tcp_ports;
  bool manual = false;                             // the administrator writes the queue rules
  bool births = false;                             // what Queue::has_conntrack() denies
  std::chrono::seconds udp_timeout{3720};          // of signalling flows; from inside also while unanswered
  std::chrono::seconds udp_timeout_unanswered{60}; // of those that began outside
  std::vector<Network> inside; // networks behind the router: what they send each other is not translated
  std::vector<Network> peers;  // signalling-peers
};

// An entry of the nat maps: packets from `scope` to `outside` go to `inside`, those of `inside` to `scope` leave as
// `outside`. Scope: any, one address, or a network, which must lie in the configured peers.
struct Translation {
  Protocol protocol = Protocol::udp;
  Endpoint inside, outside;
  Network scope;
  friend auto operator<=>(const Translation&, const Translation&) = default;
};
struct SteeringEndpoint {
  Protocol protocol = Protocol::udp;
  Endpoint endpoint;
  friend auto operator<=>(const SteeringEndpoint&, const SteeringEndpoint&) = default;
};
struct SteeringChange {
  std::vector<SteeringEndpoint> add_endpoints, remove_endpoints;
  std::vector<Translation> add_translations, remove_translations;
  bool empty() const;
  void clear(); // keeps the memory
  SteeringChange undo() const;
  void add(const SteeringChange& other);
};

class SecondDaemon : public std::runtime_error {
 public:
  explicit SecondDaemon(const std::string& table);
};

class Steering {
 public:
  enum class Way : uint8_t { manual, native, compat };

  // Throws SecondDaemon before it changes anything; std::system_error: EEXIST = the table is there already, and is no daemon's.
  explicit Steering(SteeringOptions options);

  Way way() const { return way_; }
  bool births() const { return options_.births; }
  const SteeringOptions& options() const { return options_; }

  using Result = std::expected<void, std::error_code>;
  // Any number of them, none too. EINVAL: TCP ports where TCP is not steered.
  Result set_ports(std::vector<uint16_t> udp, std::vector<uint16_t> tcp);
  Result set_inside(std::vector<Network> networks);
  Result set_peers(std::vector<Network> networks);
  // Removing what is not there is no error. EBUSY, EEXIST: a translation for that key leads elsewhere already. EINVAL: scope.
  Result apply(const SteeringChange& change);
  // Sends nothing to the queue any more. The hook stays: the kernel drops every queued packet of the namespace when a
  // hook goes, so end with stop(), Queue::drain(), and only then the destructor.
  Result stop();
  // Endpoints beside the ports that signalling doors have brought here.
  std::size_t endpoint_count(Protocol protocol) const;
  // Flowtables carry packets past us: true when somebody's ruleset has one.
  bool has_flowtables();
  // What the port set of somebody else's table inet lacks of `ports`. ENOENT: there is no such table.
  std::expected<std::vector<uint16_t>, std::error_code> find_missing_ports(const std::string& table, const std::string& set,
                                                                           std::span<const uint16_t> ports);

 private:
  friend class StreamGuard; // its table and ours change in one transaction
  using EndpointCounts = std::map<SteeringEndpoint, uint32_t>;
  using PortCounts = std::map<uint16_t, uint32_t>;
  using Translations = std::vector<Translation>;
  Result commit(NetlinkBatch& batch);
  NetlinkSocket::Results ask(NetlinkBatch& questions);
  Result install();
  void refuse_second();
  EndpointCounts count(const SteeringChange& change) const;
  Result gather(const std::vector<Translation>& from, bool adding, Translations& into) const;
  bool has_single_owners() const;
  PortCounts count_ports(const EndpointCounts& endpoints) const;
  bool is_configured(uint16_t port) const;
  Result send(const EndpointCounts& endpoints);
  Result send_shared(const EndpointCounts& endpoints);
  std::expected<uint32_t, std::error_code> owners_of(const Translation& translation);
  void put_endpoints(const EndpointCounts& endpoints, bool adding);
  void put_ports(const PortCounts& ports, bool adding);
  void put_translations(Translations& translations, bool adding);
  const nft::SetHead& map_head(bool in, const Translation& canonical) const;
  mutable std::recursive_mutex mutex_; // of what follows
  SteeringOptions options_;
  NetlinkSocket socket_;
  Way way_ = Way::manual;
  std::vector<nft::SetHead> maps_; // of the doors, see map_head()
  EndpointCounts endpoints_;
  PortCounts endpoint_ports_; // how many of them have it
  std::map<Translation, uint32_t> more_owners_; // beyond the first
  NetlinkBatch batch_;                          // scratch of apply(), and what it adds and removes
  Translations adds_, removes_;
};
std::string_view name_of(Steering::Way way);

// The whole table as text for `nft -f`; with `manual`: the rules the administrator must install himself.
std::string ruleset_text(const SteeringOptions& options);

} // namespace sipalg
