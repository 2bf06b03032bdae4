// SPDX-License-Identifier: GPL-2.0-or-later
// Every door there is, who owns it, and what the kernel was told about it. Where several workers share the doors, this is
// the part with those of some inside hosts, and Doors (doors.h) is what the rules see.
//
// How it works
//   A door joins an inside endpoint to an outside endpoint toward a scope (design section 2). It is *claimed* (counted up
//   by one owner, a port chosen, nothing told to the kernel), then *opened* (the kernel holds it), and *released* by each
//   owner; the last release closes it. One inside endpoint and scope, one door: owners share it.
//   States: claimed (handle 0) -> open (handle set) -> gone.
//   While open() waits for the kernel the keeper may let other messages be handled (DoorKeeper::settle), where workers share the
//   doors other workers' too: a door that one of them wants, by claim or by open(), is settled first, so nobody opens a door twice or
//   finds one half open.
//   Invariants: an outside endpoint never serves two inside endpoints in overlapping scopes; media doors serve everybody;
//   nothing below port 1024; a full table refuses the new and keeps the living.
//   On failure: open() leaves doors that it could not open claimed; their claimers release them.
//   Closings are collected and handed to the keeper by flush(), once per message.
//   Most doors differ from others in their ports alone (those of one host toward one media server): what they have in common
//   is a DoorWay, kept once. Only the table can tell what a door joins: inside_of(), outside_of(), kernel_door().
//   Of several parts each gives away only outside endpoints that it holds (outside_ports.h). A claim that comes upon another's
//   ends there and says which one it is (Elsewhere): the caller asks the other part and claims again.
//   Proved by test/engine (fake kernel) and test/conntrack (the real one).
#pragma once
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "alg/base/chain_index.h"
#include "alg/base/instant.h"
#include "alg/base/listed.h"
#include "alg/base/shared_values.h"
#include "alg/base/small_list.h"
#include "alg/base/slab.h"
#include "alg/base/texts.h"
#include "alg/doors/outside_ports.h"
#include "alg/doors/port_rest.h"
#include "alg/stats/stats.h"
#include "conntrack/door_keeper.h"

namespace sipalg {

using DoorId = uint64_t;  // 0: none

enum class Purpose : uint8_t { via = 1, contact = 2, route = 4, path = 8, rtp = 16, rtcp = 32, media = 64, way_out = 128 };
std::string names_of(uint8_t purposes);  // "via,contact"

struct Door {
  DoorHandle handle = 0;
  uint32_t way = 0;  // DoorTable::way_of
  uint16_t inside_port = 0, outside_port = 0;
  uint32_t owners = 0;
  uint32_t next_by_inside = 0, next_by_outside = 0;  // ChainIndex
  uint8_t purposes = 0;
  KernelDoor::Kind kind = KernelDoor::Kind::inbound;
  bool dead = false;  // its outside address is gone: owners still hold it, nobody finds it
  bool was_open = false;  // when it died
  bool is_inbound() const { return kind == KernelDoor::Kind::inbound; }
};
static_assert(sizeof(Door) == 32);  // a call has four of its own

class DoorTable {
 public:
  // `shared`: whose endpoints are whose, and which holder this part is; nullptr: there are no other parts.
  explicit DoorTable(DoorKeeper& keeper, EventCounts& stats, OutsidePorts* shared = nullptr, OutsidePorts::Holder me = OutsidePorts::nobody)
      : keeper_(keeper), stats_(stats), shared_(shared), me_(me) {}
  DoorTable(const DoorTable&) = delete;
  DoorTable& operator=(const DoorTable&) = delete;

  void set_ports(PortRange pool, std::vector<PortRange> reserved);
  // An outside endpoint that an administrator's rule gives to `inside`: nobody else gets a door there.
  void learn_forwarded(Protocol protocol, const Endpoint& outside, const Endpoint& inside);

  struct Place {  // one endpoint of one protocol
    Protocol protocol;
    Endpoint endpoint;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const noexcept {
      return std::hash<Endpoint>{}(place.endpoint) * 2 + (place.protocol == Protocol::tcp ? 1U : 0U);
    }
  };
  // What a claim found out about endpoints that other parts hold.
  struct Elsewhere {
    std::optional<Place> unknown;                        // to be asked about: the claim has to be made again
    bool is_twin = false;                                // no door of another may be there, whatever its scope
    uint32_t reached = 0;                                // so many ports of the pool need not be tried again
    std::unordered_map<Place, bool, PlaceHash> answers;  // may it be used?
  };

  struct SignallingWish {
    Protocol protocol = Protocol::udp;
    Endpoint inside;
    Address outside_address;
    uint16_t own_mapping = 0;  // the flow's own outside port for this inside endpoint; 0: the flow has another endpoint
    Network scope;
    Purpose purpose = Purpose::contact;
    uint16_t zone = 0;
    uint16_t exactly = 0;  // only this outside port will do
    bool has_twin = false;  // a new door: its port must be free for the other protocol, too
  };
  std::expected<DoorId, Reason> claim_signalling(const SignallingWish& wish, Instant now, Elsewhere* elsewhere = nullptr);

  // `ports` outside ports in a row, same parity as inside, each joined to the inside port of the same place. With
  // `with_rtcp` the second of every two is RTCP.
  struct MediaWish {
    Protocol protocol = Protocol::udp;
    Endpoint inside;
    Address outside_address;
    uint16_t ports = 1;
    bool with_rtcp = false;
    Purpose purpose = Purpose::rtp;
    uint16_t zone = 0;
    bool is_late_copy = false;  // of a message of an ended call: the ports it had, who stands there now is no matter
  };
  using MediaDoors = SmallList<DoorId, 4>;
  std::expected<MediaDoors, Reason> claim_media(const MediaWish& wish, Instant now, Elsewhere* elsewhere = nullptr);

  std::expected<DoorId, Reason> claim_way_out(Protocol protocol, const Address& inside_host, const Endpoint& remote,
                                              bool signalling, uint16_t zone);

  // All of them in the kernel, or none of those that were not there before; those go to `opened`, too. `sibling`: an open
  // door of the same call, for the keeper; 0 when there is none.
  std::expected<void, Reason> open(std::span<const DoorId> doors, std::vector<DoorId>& opened, DoorId sibling = 0);

  // Has a message come to open() and not gone on yet? Then this one was let come first, and what that one works with must stay.
  bool is_waited_for() const { return !openings_.empty(); }

  void release(DoorId door, Instant now);
  void flush();  // hands the keeper what was closed since
  void tick(Instant now) { rest_.tick(now); }
  // For one inside host, or, not set, for all.
  void address_lost(const Address& outside_address, const Address& inside_host = {});
  // The same address again (a link that was down for a moment): doors whose place nobody took since live again.
  void address_returned(const Address& outside_address, const Address& inside_host = {});
  // As address_lost() for the open doors of one inside endpoint on one outside endpoint toward `remote`. False: there are none.
  bool endpoint_lost(Protocol protocol, const Endpoint& inside, const Endpoint& outside, const Address& remote);

  Door* find(DoorId id) { return doors_.find(id); }
  const Door* find(DoorId id) const { return doors_.find(id); }
  const DoorWay& way_of(const Door& door) const { return ways_[door.way]; }
  Endpoint inside_of(const Door& door) const { return {way_of(door).inside.address, door.inside_port}; }
  Endpoint outside_of(const Door& door) const { return {way_of(door).outside.address, door.outside_port}; }
  Endpoint outside_of(DoorId living) const { return outside_of(*doors_.find(living)); }
  KernelDoor kernel_door(const Door& door) const { return door_of(way_of(door), door.inside_port, door.outside_port); }
  // Of a signalling door: the last Contact that named it, as the inside wrote it: host[:port], and its user part.
  struct Contact {
    std::string_view text, user;
  };
  Contact contact_of(const Door& door) const;
  void note_contact(DoorId door, const Contact& contact);
  // The living signalling door of this inside endpoint that lets `remote` in.
  DoorId find_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address,
                         const Address& remote) const;
  // The living media door of this inside endpoint.
  DoorId find_media(Protocol protocol, const Endpoint& inside, const Address& outside_address) const;
  // The living inbound door on this outside endpoint that lets `remote` in.
  DoorId find_outside(Protocol protocol, const Endpoint& outside, const Address& remote) const;
  bool is_outside_endpoint(Protocol protocol, const Endpoint& outside) const;
  // Is it, or was it ever, the outside endpoint of a signalling door? (Flows outlive their doors.)
  bool was_signalling_endpoint(Protocol protocol, const Endpoint& outside) const;
  // Another part's claim for `inside` toward `scope`: may it have this endpoint, which this part holds?
  enum class Answer : uint8_t { taken, beside, clear };  // beside: there are doors, toward other scopes
  Answer ask(const Place& place, const Endpoint& inside, const Network& scope, Instant now);
  // The kernel's names of those that are open.
  void add_handles(std::span<const DoorId> doors, AnySmallList<DoorHandle>& handles) const;
  void shut(DoorId door);  // closes it and leaves it claimed
  void shut_unshared(DoorId door);  // the same, when it has one owner
  void forget_forwarded(Protocol protocol, const Endpoint& outside) { forwarded_.erase({protocol, outside}); }
  std::size_t size() const { return doors_.size(); }
  std::size_t in_kernel() const { return in_kernel_; }
  template <typename F> void for_each(F&& f) const { doors_.for_each(f); }

 private:
  struct WayHash {
    std::size_t operator()(const DoorWay& way) const noexcept { return sipalg::hash_of(way, 0); }
  };
  using Ways = SharedValues<DoorWay, WayHash>;
  struct InsideHash {
    const DoorTable* table;
    std::size_t operator()(const Door& door) const { return inside_hash(table->way_of(door), table->inside_of(door), table->outside_of(door)); }
  };
  struct OutsideHash {
    const DoorTable* table;
    std::size_t operator()(const Door& door) const { return hash_of(table->way_of(door).protocol, table->outside_of(door)); }
  };
  static std::size_t hash_of(Protocol protocol, const Endpoint& endpoint) { return PlaceHash{}({protocol, endpoint}); }
  static std::size_t inside_hash(const DoorWay& way, const Endpoint& inside, const Endpoint& outside);
  // Of living doors for packets that come in: find the first that `is_it`, look at each.
  template <typename F> DoorId find_at_inside(Protocol protocol, const Endpoint& inside, F&& is_it) const;
  template <typename F> DoorId find_at_outside(Protocol protocol, const Endpoint& outside, F&& is_it) const;
  bool is_mine(const Place& place, bool is_twin = false);
  uint32_t first_to_try() const { return elsewhere_ != nullptr ? elsewhere_->reached : 0; }
  void stopped_at(uint32_t tried);
  bool is_stopped() const { return elsewhere_ != nullptr && elsewhere_->unknown; }
  std::optional<Reason> bound_reached(const Address& inside_host) const;
  bool can_serve(const SignallingWish& wish, uint16_t port, Instant now, bool own_mapping);
  bool can_serve_twin(const SignallingWish& wish, uint16_t port, Instant now);
  bool is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now);
  uint16_t choose_signalling_port(const SignallingWish& wish, Instant now);
  uint16_t choose_media_port(const MediaWish& wish, const MediaDoors& run, Instant now);
  bool run_is_free(const MediaWish& wish, const MediaDoors& run, uint32_t first, Instant now);
  // An open() that has not come back yet. Others may stand on it in the same stack, or be another worker's.
  struct Opening {
    explicit Opening(DoorTable& t) : table(t), listed(t.openings_, *this) {}
    ~Opening();
    Opening(const Opening&) = delete;
    Opening& operator=(const Opening&) = delete;
    DoorTable& table;
    Listed<Opening> listed;
    SmallList<KernelDoor, 4> wanted;
    SmallList<DoorId, 4> ids;
    SmallList<DoorHandle, 4> handles;  // 0: not open yet
    bool is_settled = false;           // the table knows what came of it
  };
  bool is_opening(DoorId id) const;
  void settle();
  void note(Opening& opening);
  MediaDoors find_run(const MediaWish& wish) const;
  DoorId insert(const KernelDoor& kernel, Purpose purpose);
  void hold(DoorId id, Purpose purpose);
  void index(DoorId id);
  void unindex(DoorId id);
  bool is_place_taken(const KernelDoor& kernel);
  void die(DoorId id);
  void erase(DoorId id, Instant now);

  DoorKeeper& keeper_;
  EventCounts& stats_;
  OutsidePorts* shared_;
  OutsidePorts::Holder me_;
  Elsewhere* elsewhere_ = nullptr;  // of the claim that is being made
  Slab<Door> doors_;
  Ways ways_;
  ChainIndex<Door, &Door::next_by_inside, InsideHash> by_inside_{doors_, {this}};     // way out: by host and remote
  ChainIndex<Door, &Door::next_by_outside, OutsideHash> by_outside_{doors_, {this}};  // no ways out
  std::unordered_map<const Door*, Texts<2>> contacts_;
  std::unordered_map<Place, Endpoint, PlaceHash> forwarded_;
  std::unordered_set<Place, PlaceHash> once_signalling_;
  std::unordered_map<Address, uint32_t> per_host_;
  PortRest rest_;
  PortRange pool_{16384, 65535};
  std::vector<PortRange> reserved_;
  std::vector<DoorHandle> closing_;
  std::vector<Opening*> openings_;
  std::size_t in_kernel_ = 0;
};

template <typename F> DoorId DoorTable::find_at_inside(Protocol protocol, const Endpoint& inside, F&& is_it) const {
  return by_inside_.find(hash_of(protocol, inside), [&](const Door& door) {
    if (door.inside_port != inside.port || !door.is_inbound()) return false;
    const DoorWay& way = way_of(door);
    return way.inside.address == inside.address && way.protocol == protocol && is_it(door);
  });
}

template <typename F> DoorId DoorTable::find_at_outside(Protocol protocol, const Endpoint& outside, F&& is_it) const {
  return by_outside_.find(hash_of(protocol, outside), [&](const Door& door) {
    if (door.outside_port != outside.port) return false;
    const DoorWay& way = way_of(door);
    return way.outside.address == outside.address && way.protocol == protocol && is_it(door);
  });
}

}  // namespace sipalg
