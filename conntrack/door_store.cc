// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel edge remembers of each door.
#include "conntrack/door_store.h"

#include <bit>
#include <random>

namespace sipalg {
namespace {

Address address_from(const std::array<uint64_t, 2>& words, bool is_v6) {
  const auto bytes = std::bit_cast<std::array<uint8_t, 16>>(words);
  return is_v6 ? Address::v6(bytes) : Address::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

bool is_same(const std::array<uint64_t, 2>& words, bool is_v6, uint16_t port, const Endpoint& endpoint) {
  return port == endpoint.port && words == endpoint.address.words() && is_v6 == (endpoint.address.family() == Family::v6);
}

} // namespace

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
  return static_cast<uint32_t>(hash_of(endpoint.address, secret + endpoint.port * 2U + (protocol == Protocol::tcp ? 1U : 0U)) >> 16);
}

// Inbound doors of one inside endpoint share a hash: any_inbound_of() finds them all.
uint32_t DoorStore::hash_of(const DoorKey& key) const {
  const uint32_t inside = secret_hash(key.protocol, key.inside);
  return key.kind == KernelDoor::Kind::inbound ? inside : inside * 31U + secret_hash(key.protocol, key.outside);
}

uint32_t DoorStore::insert(const KernelDoor& door) {
  const DoorKey key = key_of(door);
  const uint32_t place = records_.insert();
  Record& r = records_[place];
  r.inside = key.inside.address.words(), r.inside_port = key.inside.port;
  r.outside = key.outside.address.words(), r.outside_port = key.outside.port;
  r.serial = ++last_serial_;
  r.zone = door.zone;
  r.is_way_out = door.kind == KernelDoor::Kind::way_out;
  r.is_tcp = door.protocol == Protocol::tcp;
  r.is_v6 = door.outside.address.family() == Family::v6;
  r.is_signalling = door.signalling;
  r.has_scope = !door.scope.is_any();
  if (r.has_scope) scopes_[place] = door.scope;
  index_.insert(hash_of(key), place);
  return place;
}

void DoorStore::erase(uint32_t place) {
  index_.erase(hash_of(key_of(door(place))), place);
  if (records_[place].has_scope) scopes_.erase(place);
  records_.erase(place);
}

std::optional<uint32_t> DoorStore::find(DoorHandle handle) const {
  const auto place = static_cast<uint32_t>(handle & 0xffffffffU) - 1;
  if (handle == 0 || !records_.contains(place) || records_[place].serial != handle >> 32) return {};
  return place;
}

Endpoint DoorStore::outside(uint32_t place) const {
  const Record& r = records_[place];
  return {address_from(r.outside, r.is_v6), r.outside_port};
}

KernelDoor DoorStore::door(uint32_t place) const {
  const Record& r = records_[place];
  KernelDoor door;
  door.kind = r.is_way_out ? KernelDoor::Kind::way_out : KernelDoor::Kind::inbound;
  door.protocol = protocol(place);
  door.inside = {address_from(r.inside, r.is_v6), r.inside_port};
  door.outside = outside(place);
  if (r.has_scope) door.scope = scopes_.at(place);
  door.signalling = r.is_signalling;
  door.zone = r.zone;
  return door;
}

bool DoorStore::is_inside(const Record& r, const DoorKey& key) {
  return r.is_way_out == (key.kind == KernelDoor::Kind::way_out) && r.is_tcp == (key.protocol == Protocol::tcp) &&
         is_same(r.inside, r.is_v6, r.inside_port, key.inside);
}

bool DoorStore::is(const Record& r, const DoorKey& key) {
  return is_inside(r, key) && is_same(r.outside, r.is_v6, r.outside_port, key.outside);
}

} // namespace sipalg
