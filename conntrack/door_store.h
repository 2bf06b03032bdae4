// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel edge remembers of each door, in few bytes.
//
// How it works. A record is 16 bytes: its anchor, its state, its ports, and the number of all else that its door is, which
// most doors of one host toward one remote have in common (a way). One index finds doors by what a flow shows: inbound ones
// by their inside endpoint, ways out by host and remote. States:
//
//     open      its handle is good
//     standing  the kernel has it: from open until its closing was sent
//     swept     false: closed, and its flows were not looked for yet
//
// A record stays as long as one of them needs it. Handles are never used again for another door.
#pragma once
#include <cstdint>
#include <optional>

#include "alg/base/limits.h"
#include "alg/base/shared_values.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/door_keeper.h"
#include "conntrack/places.h"

namespace sipalg {

// Enough to say which flows are a door's.
struct DoorKey {
  KernelDoor::Kind kind = KernelDoor::Kind::inbound;
  Protocol protocol = Protocol::udp;
  Endpoint inside, outside; // way_out: inside has port 0
  friend bool operator==(const DoorKey&, const DoorKey&) = default;
};
DoorKey key_of(const KernelDoor& door);
// Translates: is more than a pinhole.
bool translates(const KernelDoor& door);
Pinhole pinhole_of(const KernelDoor& door);

class DoorStore {
 public:
  static constexpr int way_bits = 28;
  static constexpr uint32_t most_ways = (1U << way_bits) - 1;
  struct Record {
    uint32_t serial = 0; // of its handle
    uint32_t anchor = no_place;
    uint16_t inside_port = 0, outside_port = 0;
    uint32_t way : way_bits = 0; // in ways_
    bool is_open : 1 = false;
    bool is_standing : 1 = false;
    bool is_swept : 1 = true;
    bool is_fresh : 1 = false; // opened since the last sweep
  };
  static_assert(sizeof(Record) == 16 && limits::doors < most_ways); // a call has four

  // Neither open nor standing yet.
  uint32_t insert(const KernelDoor& door);
  void erase(uint32_t place);
  // Nobody needs it any more.
  static bool is_over(const Record& r) { return !r.is_open && !r.is_standing && r.is_swept; }

  Record& operator[](uint32_t place) { return records_[place]; }
  const Record& operator[](uint32_t place) const { return records_[place]; }
  DoorHandle handle(uint32_t place) const { return DoorHandle{records_[place].serial} << 32 | (place + 1); }
  std::optional<uint32_t> find(DoorHandle handle) const; // in any state
  KernelDoor door(uint32_t place) const;
  Pinhole pinhole(uint32_t place) const { return pinhole_of(door(place)); }
  Protocol protocol(uint32_t place) const { return way_of(records_[place]).protocol; }
  bool is_way_out(uint32_t place) const { return way_of(records_[place]).kind == KernelDoor::Kind::way_out; }
  bool is_signalling(uint32_t place) const { return way_of(records_[place]).signalling; }
  Endpoint outside(uint32_t place) const { return {way_of(records_[place]).outside.address, records_[place].outside_port}; }

  // Asks about each record of this key, in whichever state, until `is_it` says yes.
  template <typename F> bool any_of(const DoorKey& key, F&& is_it) const {
    return index_.any_of(hash_of(key), [&](uint32_t place) { return is(records_[place], key) && is_it(place); });
  }
  // The same for inbound doors of an inside endpoint.
  template <typename F> bool any_inbound_of(Protocol protocol, const Endpoint& inside, F&& is_it) const {
    const DoorKey key{KernelDoor::Kind::inbound, protocol, inside, {}};
    return index_.any_of(hash_of(key), [&](uint32_t place) { return is_inside(records_[place], key) && is_it(place); });
  }
  template <typename F> void for_each(F&& f) { records_.for_each(f); }
  std::size_t size() const { return records_.size(); }

 private:
  struct WayHash {
    std::size_t operator()(const DoorWay& way) const;
  };
  const DoorWay& way_of(const Record& record) const { return ways_[record.way]; }
  uint32_t hash_of(const DoorKey& key) const;
  bool is_inside(const Record& record, const DoorKey& key) const;
  bool is(const Record& record, const DoorKey& key) const;

  Places<Record> records_;
  PlaceIndex index_;
  SharedValues<DoorWay, WayHash> ways_;
  uint32_t last_serial_ = 0;
};

// A hash that only this process knows, so that nobody outside can choose endpoints that share one. Those of a media line's two
// ports differ by one, so tables find both in one cache line.
uint32_t secret_hash(Protocol protocol, const Endpoint& endpoint);

} // namespace sipalg
