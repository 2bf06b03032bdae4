// SPDX-License-Identifier: GPL-2.0-or-later
// All doors, as the rules see them: shared by the workers.
//
// How it works
//   A door belongs to the part of the table that has its inside host (shard_of); each part has a lock. Nobody holds two. A
//   worker's messages are about inside hosts of its own part, so its lock is free and its cache lines are its own; it keeps
//   that lock for a message (stay), and takes another's where a message names another host's endpoint.
//   An outside endpoint is one part's to give away (outside_ports.h). A claim that comes upon another's is told so, lets go of
//   its lock, asks that part, and is made again: each time with one answer more.
//   What several parts have (disjoint scopes) is claimed under `several_`, after all others were asked.
//   A DoorId has the part's number in bits that its place leaves free.
//   What is found is copied out: behind the lock the door may go.
//   Proved by test/engine, which runs with one part and with several, and test/engine/workers_test.cc.
#pragma once
#include <mutex>

#include "alg/base/shard.h"
#include "alg/base/sharded.h"
#include "alg/doors/door_table.h"
#include "conntrack/flow.h"

namespace sipalg {

class Doors {
  struct Part {
    Part(DoorKeeper& keeper, OutsidePorts* shared, uint32_t number) : table(keeper, counts, shared, OutsidePorts::of(number)) {}
    EventCounts counts;
    DoorTable table;
  };

 public:
  // Borrows the keeper, which must be safe to be called by all workers.
  Doors(DoorKeeper& keeper, uint32_t parts);
  Doors(const Doors&) = delete;
  Doors& operator=(const Doors&) = delete;

  void set_ports(PortRange pool, const std::vector<PortRange>& reserved);
  void learn_forwarded(Protocol protocol, const Endpoint& outside, const Endpoint& inside);

  // For the steps of one message, whose thread takes no lock that comes before ours meanwhile, unless it lets go.
  [[nodiscard]] auto stay(uint32_t part) { return Sharded<Part>::Stay(tables_, part); }
  void let_go() const { tables_.let_go(); }
  // May a message of this part's hosts be handled within this one's open()? Not while it opens doors of another part.
  bool lets_in(uint32_t part) const { return tables_.is_alone() || tables_.keeps(part); }

  // As DoorTable's.
  std::expected<DoorId, Reason> claim_signalling(const DoorTable::SignallingWish& wish, Instant now);
  std::expected<DoorTable::MediaDoors, Reason> claim_media(const DoorTable::MediaWish& wish, Instant now);
  std::expected<DoorId, Reason> claim_way_out(Protocol protocol, const Address& inside_host, const Endpoint& remote,
                                              bool signalling, uint16_t zone);
  std::expected<void, Reason> open(std::span<const DoorId> doors, std::vector<DoorId>& opened, DoorId sibling = 0);
  void release(DoorId door, Instant now);
  bool is_waited_for() const;  // by a message within whose open() this thread handles another one (DoorTable)
  template <typename List> void release_all(List& owned, Instant now) {
    for (DoorId door : owned) release(door, now);
    owned.clear();
  }
  void flush(uint32_t part);
  void tick(uint32_t part, Instant now);
  void address_lost(const Address& outside_address, const Address& inside_host = {});
  void address_returned(const Address& outside_address, const Address& inside_host = {});
  bool endpoint_lost(Protocol protocol, const Endpoint& inside, const Endpoint& outside, const Address& remote);

  // A door as it was found.
  struct Found {
    Endpoint inside, outside;
    DoorId id = 0;
    uint8_t purposes = 0;
    bool is_translating() const { return inside != outside; }
  };
  std::optional<Found> find(DoorId id) const;
  std::optional<KernelDoor> living_inbound(DoorId id) const;
  bool is_closed(DoorId id) const;  // it is there, and not in the kernel
  bool has(DoorId id) const;
  // It lives for packets that come in, and no door of the same endpoints, whatever their scope, lets `remote` in.
  bool lacks(DoorId id, const Address& remote) const;
  Endpoint outside_of(DoorId id) const;  // not set: it is gone
  Address inside_host_of(DoorId id) const;  // the same
  std::optional<Found> find_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address,
                                       const Address& remote) const;
  bool has_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address, const Address& remote) const;
  bool has_media(Protocol protocol, const Endpoint& inside, const Endpoint& outside) const;  // a living media door joins these
  // `near`: whose message it is: his part is looked at first.
  std::optional<Found> find_outside(Protocol protocol, const Endpoint& outside, const Address& remote, const Address& near) const;
  // Is the sender's outside endpoint that of another's door, while he has an open one elsewhere toward this receiver?
  bool misplaces(const Flow& flow) const;
  bool is_outside_endpoint(Protocol protocol, const Endpoint& outside) const;
  bool was_signalling_endpoint(Protocol protocol, const Endpoint& outside) const;
  struct Contact {
    std::string text, user;
  };
  Contact contact_of(DoorId id) const;
  void note_contact(DoorId id, const DoorTable::Contact& contact);
  bool has_flow(std::span<const DoorId> doors) const;

  // `f` gets the table's part and the door, under its lock; nothing when it is gone.
  template <typename F> void look(DoorId id, F&& f) const {
    tables_.at(part_of(id), [&](const Part& part) {
      if (const Door* door = part.table.find(raw(id))) f(part.table, *door);
    });
  }
  std::vector<DoorId> ids() const;
  std::size_t size() const;
  std::size_t in_kernel() const;
  void add_stats(Stats& sum) const;
  void clear_stats();

 private:
  // Slab::place_of leaves these bits: limits::doors is below 2^24.
  static constexpr int part_shift = 24;
  static constexpr DoorId part_bits = DoorId{most_shards - 1} << part_shift;
  static uint32_t part_of(DoorId id) { return static_cast<uint32_t>((id & part_bits) >> part_shift); }
  static DoorId raw(DoorId id) { return id & ~part_bits; }
  static DoorId named(DoorId raw, uint32_t part) { return raw == 0 ? 0 : raw | DoorId{part} << part_shift; }
  uint32_t part_for(const Address& inside_host) const { return shard_of(inside_host, tables_.size()); }
  static Found found(const DoorTable& table, const Door& door, DoorId id);

  struct Asking;  // one claim's questions to other parts
  template <typename Claim> auto claim(uint32_t part, const Endpoint& inside, const Network& scope, Instant now, Claim&& claim);
  void ask(const DoorTable::Place& place, uint32_t for_part, const Endpoint& inside, const Network& scope, Instant now, Asking& asking);
  std::expected<void, Reason> open_in_several(std::span<const DoorId> doors, std::vector<DoorId>& opened);
  // The other parts that may have this outside endpoint, until `f` says true. Nothing shared is written where there are none.
  template <typename F> bool any_elsewhere(Protocol protocol, const Endpoint& outside, uint32_t looked_at, F&& f) const;

  DoorKeeper& keeper_;
  OutsidePorts ports_;
  Sharded<Part> tables_;
  std::mutex several_;
};

}  // namespace sipalg
