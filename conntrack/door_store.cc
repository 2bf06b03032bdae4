// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel edge remembers of each door.
#include "conntrack/door_store.h"

#include <random>

namespace sipalg {

DoorKey key_of(const KernelDoor& door) {
  const Endpoint inside = door.kind == KernelDoor::Kind::way_out ? Endpoint{door.inside.address, 0} : door.inside;
  return {door.kind, door.protocol, inside, door.outside};
}

bool translates(const KernelDoor& door) { return door.kind == KernelDoor::Kind::inbound && door.inside != door.outside; }

Pinhole pinhole_of(const KernelDoor& door) {
  if (door.kind == KernelDoor::Kind::way_out) return {door.protocol, Network::of(door.inside.address), door.outside};
  return {door.protocol, door.scope, door.outside};
}

uint32_t secret_hash(Protocol protocol, const Endpoint& endpoint) {
  static const std::size_t secret = std::random_device{}() | std::size_t{std::random_device{}()} << 32;
  const uint32_t pair = endpoint.port / 2U * 2U + (protocol == Protocol::tcp ? 1U : 0U);
  return static_cast<uint32_t>(hash_of(endpoint.address, secret + pair) >> 16) ^ (endpoint.port & 1U);
}

// Inbound doors of one inside endpoint share a hash: any_inbound_of() finds them all.
uint32_t DoorStore::hash_of(const DoorKey& key) const {
  const uint32_t inside = secret_hash(key.protocol, key.inside);
  return key.kind == KernelDoor::Kind::inbound ? inside : inside * 31U + secret_hash(key.protocol, key.outside);
}

std::size_t DoorStore::WayHash::operator()(const DoorWay& way) const {
  return sipalg::hash_of(way, secret_hash(way.protocol, {}));
}

uint32_t DoorStore::insert(const KernelDoor& door) {
  const uint32_t place = records_.insert();
  Record& r = records_[place];
  r.way = ways_.hold(sipalg::way_of(door)) & most_ways;
  r.inside_port = key_of(door).inside.port;
  r.outside_port = door.outside.port;
  r.serial = ++last_serial_;
  index_.insert(hash_of(key_of(door)), place);
  return place;
}

void DoorStore::erase(uint32_t place) {
  index_.erase(hash_of(key_of(door(place))), place);
  ways_.release(records_[place].way);
  records_.erase(place);
}

std::optional<uint32_t> DoorStore::find(DoorHandle handle) const {
  const auto place = static_cast<uint32_t>(handle & 0xffffffffU) - 1;
  if (handle == 0 || !records_.contains(place) || records_[place].serial != handle >> 32) return {};
  return place;
}

KernelDoor DoorStore::door(uint32_t place) const {
  const Record& r = records_[place];
  return door_of(way_of(r), r.inside_port, r.outside_port);
}

bool DoorStore::is_inside(const Record& r, const DoorKey& key) const {
  if (r.inside_port != key.inside.port) return false;
  const DoorWay& way = way_of(r);
  return way.kind == key.kind && way.protocol == key.protocol && way.inside.address == key.inside.address;
}

bool DoorStore::is(const Record& r, const DoorKey& key) const {
  return r.outside_port == key.outside.port && is_inside(r, key) && way_of(r).outside.address == key.outside.address;
}

} // namespace sipalg
