// SPDX-License-Identifier: GPL-2.0-or-later
// See doors.h.
#include "alg/doors/doors.h"

#include <algorithm>

namespace sipalg {

static_assert(limits::doors < std::size_t{1} << 24 && most_shards <= 64);

Doors::Doors(DoorKeeper& keeper, uint32_t parts)
    : keeper_(keeper), tables_(parts, [&](uint32_t i) { return Part(keeper, parts > 1 ? &ports_ : nullptr, i); }) {}

void Doors::set_ports(PortRange pool, const std::vector<PortRange>& reserved) {
  tables_.for_each([&](Part& part) { part.table.set_ports(pool, reserved); });
}

void Doors::learn_forwarded(Protocol protocol, const Endpoint& outside, const Endpoint& inside) {
  const uint32_t part = part_for(inside.address);
  if (!tables_.is_alone() && ports_.holder(protocol, outside) != OutsidePorts::of(part))
    for (uint32_t i = 0; i < tables_.size(); ++i)  // the rule led elsewhere before
      if (i != part) tables_.at(i, [&](Part& other) { other.table.forget_forwarded(protocol, outside); });
  tables_.at(part, [&](Part& mine) { mine.table.learn_forwarded(protocol, outside, inside); });
}

// --- claims ---

struct Doors::Asking {
  DoorTable::Elsewhere elsewhere;
  std::unique_lock<std::mutex> several;  // held from the first answer about such an endpoint until the claim is made
};

template <typename Claim>
auto Doors::claim(uint32_t part, const Endpoint& inside, const Network& scope, Instant now, Claim&& claim) {
  if (tables_.is_alone()) return claim(tables_.only().table, nullptr);
  for (Asking asking;;) {
    auto made = tables_.at(part, [&](Part& mine) { return claim(mine.table, &asking.elsewhere); });
    if (!asking.elsewhere.unknown) return made;
    const Network for_whom = asking.elsewhere.is_twin ? Network{} : scope;
    ask(*std::exchange(asking.elsewhere.unknown, std::nullopt), part, inside, for_whom, now, asking);
  }
}

// Who holds it alone gives it away when nothing of his is there; where he has a door toward other remotes it becomes several
// parts'. No answer: it has changed hands meanwhile, and the claim comes upon it again.
void Doors::ask(const DoorTable::Place& place, uint32_t for_part, const Endpoint& inside, const Network& scope, Instant now,
                Asking& asking) {
  using Answer = DoorTable::Answer;
  let_go();
  const OutsidePorts::Holder holder = ports_.holder(place.protocol, place.endpoint);
  if (holder == OutsidePorts::nobody || holder == OutsidePorts::of(for_part)) return;
  if (holder != OutsidePorts::several)
    return tables_.at(holder - 1U, [&](Part& other) {
      if (ports_.holder(place.protocol, place.endpoint) != holder) return;
      const Answer answer = other.table.ask(place, inside, scope, now);
      if (answer == Answer::taken) asking.elsewhere.answers[place] = false;
      if (answer != Answer::taken)
        ports_.give(place.protocol, place.endpoint, holder, answer == Answer::clear ? OutsidePorts::of(for_part) : OutsidePorts::several);
    });
  if (!asking.several.owns_lock()) asking.several = std::unique_lock(several_);
  bool is_free = true;
  for (uint32_t i = 0; i < tables_.size() && is_free; ++i)
    if (i != for_part) is_free = tables_.at(i, [&](Part& other) { return other.table.ask(place, inside, scope, now); }) != Answer::taken;
  asking.elsewhere.answers[place] = is_free;
}

std::expected<DoorId, Reason> Doors::claim_signalling(const DoorTable::SignallingWish& wish, Instant now) {
  const uint32_t part = part_for(wish.inside.address);
  auto made = claim(part, wish.inside, wish.scope, now, [&](DoorTable& table, DoorTable::Elsewhere* elsewhere) {
    return table.claim_signalling(wish, now, elsewhere);
  });
  if (made) *made = named(*made, part);
  return made;
}

std::expected<DoorTable::MediaDoors, Reason> Doors::claim_media(const DoorTable::MediaWish& wish, Instant now) {
  const uint32_t part = part_for(wish.inside.address);
  auto made = claim(part, wish.inside, {}, now, [&](DoorTable& table, DoorTable::Elsewhere* elsewhere) {
    return table.claim_media(wish, now, elsewhere);
  });
  if (made)
    for (DoorId& id : *made) id = named(id, part);
  return made;
}

std::expected<DoorId, Reason> Doors::claim_way_out(Protocol protocol, const Address& inside_host, const Endpoint& remote,
                                                   bool signalling, uint16_t zone) {
  const uint32_t part = part_for(inside_host);
  auto made = tables_.at(part, [&](Part& mine) { return mine.table.claim_way_out(protocol, inside_host, remote, signalling, zone); });
  if (made) *made = named(*made, part);
  return made;
}

// --- opening and closing ---

std::expected<void, Reason> Doors::open(std::span<const DoorId> doors, std::vector<DoorId>& opened, DoorId sibling) {
  if (doors.empty()) return {};
  if (tables_.is_alone()) return tables_.only().table.open(doors, opened, sibling);
  const uint32_t part = part_of(doors.front());
  if (std::ranges::any_of(doors, [part](DoorId id) { return part_of(id) != part; })) return open_in_several(doors, opened);
  SmallList<DoorId, 16> raws;
  for (DoorId id : doors) raws.push_back(raw(id));
  const std::size_t before = opened.size();
  const auto made = tables_.at(part, [&](Part& mine) {
    return mine.table.open({raws.data(), raws.size()}, opened, part_of(sibling) == part ? raw(sibling) : 0);
  });
  for (std::size_t i = before; i < opened.size(); ++i) opened[i] = named(opened[i], part);
  return made;
}

// A message that names inside hosts of several parts: one part after the other, and all of it back when one is refused.
std::expected<void, Reason> Doors::open_in_several(std::span<const DoorId> doors, std::vector<DoorId>& opened) {
  const std::size_t before = opened.size();
  for (uint32_t part = 0; part < tables_.size(); ++part) {
    SmallList<DoorId, 16> of_part;
    for (DoorId id : doors)
      if (part_of(id) == part) of_part.push_back(id);
    if (of_part.empty()) continue;
    const auto made = open({of_part.data(), of_part.size()}, opened);
    if (made) continue;
    for (std::size_t i = before; i < opened.size(); ++i)
      tables_.at(part_of(opened[i]), [&](Part& other) { other.table.shut_unshared(raw(opened[i])), other.table.flush(); });
    opened.resize(before);
    return made;
  }
  return {};
}

void Doors::release(DoorId id, Instant now) {
  tables_.at(part_of(id), [&](Part& part) {
    part.table.release(raw(id), now);
    if (!tables_.is_alone()) part.table.flush();  // it may not be the caller's, who flushes his own
  });
}

// With several parts: a message of another worker's may wait, too, but who handles one stays in its part, and who is let in while it
// waits stays there again.
bool Doors::is_waited_for() const {
  return tables_.is_alone() ? tables_.at(0, [](const Part& part) { return part.table.is_waited_for(); }) : tables_.stays_again();
}

void Doors::flush(uint32_t part) {
  tables_.at(part, [](Part& mine) { mine.table.flush(); });
}

void Doors::tick(uint32_t part, Instant now) {
  tables_.at(part, [&](Part& mine) { mine.table.flush(), mine.table.tick(now); });
}

bool Doors::endpoint_lost(Protocol protocol, const Endpoint& inside, const Endpoint& outside, const Address& remote) {
  return tables_.at(part_for(inside.address), [&](Part& part) { return part.table.endpoint_lost(protocol, inside, outside, remote); });
}

void Doors::address_lost(const Address& outside_address, const Address& inside_host) {
  const auto lose = [&](Part& part) { part.table.address_lost(outside_address, inside_host); };
  inside_host.is_set() ? tables_.at(part_for(inside_host), lose) : tables_.for_each(lose);
}

void Doors::address_returned(const Address& outside_address, const Address& inside_host) {
  const auto regain = [&](Part& part) { part.table.address_returned(outside_address, inside_host); };
  inside_host.is_set() ? tables_.at(part_for(inside_host), regain) : tables_.for_each(regain);
}

// --- finding ---

Doors::Found Doors::found(const DoorTable& table, const Door& door, DoorId id) {
  return {table.inside_of(door), table.outside_of(door), id, door.purposes};
}

std::optional<Doors::Found> Doors::find(DoorId id) const {
  std::optional<Found> out;
  look(id, [&](const DoorTable& table, const Door& door) { out = found(table, door, id); });
  return out;
}

std::optional<KernelDoor> Doors::living_inbound(DoorId id) const {
  std::optional<KernelDoor> out;
  look(id, [&](const DoorTable& table, const Door& door) {
    if (!door.dead && door.is_inbound()) out = table.kernel_door(door);
  });
  return out;
}

bool Doors::is_closed(DoorId id) const {
  bool is_closed = false;
  look(id, [&](const DoorTable&, const Door& door) { is_closed = door.handle == 0; });
  return is_closed;
}

bool Doors::lacks(DoorId id, const Address& remote) const {
  bool lacks = false;
  look(id, [&](const DoorTable& table, const Door& door) {
    if (door.dead || !door.is_inbound()) return;
    const DoorWay& way = table.way_of(door);
    lacks = table.find_signalling(way.protocol, table.inside_of(door), way.outside.address, remote) == 0;
  });
  return lacks;
}

bool Doors::has(DoorId id) const {
  bool has = false;
  look(id, [&](const DoorTable&, const Door&) { has = true; });
  return has;
}

Endpoint Doors::outside_of(DoorId id) const {
  Endpoint outside;
  look(id, [&](const DoorTable& table, const Door& door) { outside = table.outside_of(door); });
  return outside;
}

Address Doors::inside_host_of(DoorId id) const {
  Address host;
  look(id, [&](const DoorTable& table, const Door& door) { host = table.way_of(door).inside.address; });
  return host;
}

std::optional<Doors::Found> Doors::find_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address,
                                                   const Address& remote) const {
  const uint32_t number = part_for(inside.address);
  return tables_.at(number, [&](const Part& part) -> std::optional<Found> {
    const DoorId id = part.table.find_signalling(protocol, inside, outside_address, remote);
    if (id == 0) return std::nullopt;
    return found(part.table, *part.table.find(id), named(id, number));
  });
}

bool Doors::has_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address, const Address& remote) const {
  return tables_.at(part_for(inside.address),
                    [&](const Part& part) { return part.table.find_signalling(protocol, inside, outside_address, remote) != 0; });
}

bool Doors::misplaces(const Flow& flow) const {
  const auto& [inside, outside] = flow.sender;
  const Address& remote = flow.receiver.outside.address;
  const auto own = find_signalling(flow.protocol, inside, outside.address, remote);
  if (!own || own->outside == outside || is_closed(own->id)) return false;
  const auto others = find_outside(flow.protocol, outside, remote, inside.address);
  return others && others->inside != inside;
}

bool Doors::has_media(Protocol protocol, const Endpoint& inside, const Endpoint& outside) const {
  return tables_.at(part_for(inside.address), [&](const Part& part) {
    const DoorId id = part.table.find_media(protocol, inside, outside.address);
    return id != 0 && part.table.outside_of(id) == outside;
  });
}

template <typename F>
bool Doors::any_elsewhere(Protocol protocol, const Endpoint& outside, uint32_t looked_at, F&& f) const {
  if (tables_.is_alone()) return false;
  const auto ask = [&](uint32_t number) { return number != looked_at && tables_.at(number, [&](const Part& part) { return f(part.table, number); }); };
  if (ports_.is_noted_host(outside.address) && ask(part_for(outside.address))) return true;
  const OutsidePorts::Holder holder = ports_.holder(protocol, outside);
  if (holder == OutsidePorts::nobody) return false;
  if (holder != OutsidePorts::several) return ask(holder - 1U);
  for (uint32_t i = 0; i < tables_.size(); ++i)
    if (ask(i)) return true;
  return false;
}

std::optional<Doors::Found> Doors::find_outside(Protocol protocol, const Endpoint& outside, const Address& remote,
                                                const Address& near) const {
  std::optional<Found> out;
  const auto look_in = [&](const DoorTable& table, uint32_t number) {
    const DoorId id = table.find_outside(protocol, outside, remote);
    if (id != 0) out = found(table, *table.find(id), named(id, number));
    return out.has_value();
  };
  const uint32_t home = part_for(near);
  if (!tables_.at(home, [&](const Part& part) { return look_in(part.table, home); })) any_elsewhere(protocol, outside, home, look_in);
  return out;
}

bool Doors::is_outside_endpoint(Protocol protocol, const Endpoint& outside) const {
  if (tables_.is_alone()) return tables_.at(0, [&](const Part& part) { return part.table.is_outside_endpoint(protocol, outside); });
  return any_elsewhere(protocol, outside, most_shards, [&](const DoorTable& table, uint32_t) {
    return table.is_outside_endpoint(protocol, outside);
  });
}

bool Doors::was_signalling_endpoint(Protocol protocol, const Endpoint& outside) const {
  bool was = false;
  for (uint32_t i = 0; i < tables_.size() && !was; ++i)
    was = tables_.at(i, [&](const Part& part) { return part.table.was_signalling_endpoint(protocol, outside); });
  return was;
}

Doors::Contact Doors::contact_of(DoorId id) const {
  Contact out;
  look(id, [&](const DoorTable& table, const Door& door) {
    const DoorTable::Contact contact = table.contact_of(door);
    out = {std::string(contact.text), std::string(contact.user)};
  });
  return out;
}

void Doors::note_contact(DoorId id, const DoorTable::Contact& contact) {
  tables_.at(part_of(id), [&](Part& part) { part.table.note_contact(raw(id), contact); });
}

bool Doors::has_flow(std::span<const DoorId> doors) const {
  SmallList<DoorHandle, 8> handles;
  for (const DoorId& id : doors)
    tables_.at(part_of(id), [&](const Part& part) {
      const DoorId own = raw(id);
      part.table.add_handles({&own, 1}, handles);
    });
  return !handles.empty() && keeper_.has_flow({handles.data(), handles.size()});
}

// --- reports ---

std::vector<DoorId> Doors::ids() const {
  std::vector<DoorId> out;
  for (uint32_t i = 0; i < tables_.size(); ++i)
    tables_.at(i, [&](const Part& part) { part.table.for_each([&](DoorId id, const Door&) { out.push_back(named(id, i)); }); });
  return out;
}

std::size_t Doors::size() const {
  std::size_t sum = 0;
  tables_.for_each([&](const Part& part) { sum += part.table.size(); });
  return sum;
}

std::size_t Doors::in_kernel() const {
  std::size_t sum = 0;
  tables_.for_each([&](const Part& part) { sum += part.table.in_kernel(); });
  return sum;
}

void Doors::add_stats(Stats& sum) const {
  tables_.for_each([&](const Part& part) { sum.add(part.counts); });
}

void Doors::clear_stats() {
  tables_.for_each([](Part& part) { part.counts = {}; });
}

}  // namespace sipalg
