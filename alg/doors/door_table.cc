// SPDX-License-Identifier: GPL-2.0-or-later
// Claims, openings and releases. See the header for how it works; port_choice.cc for which port a door gets.
#include "alg/doors/door_table.h"

#include <algorithm>
#include <utility>

#include "alg/base/limits.h"

namespace sipalg {
namespace {

constexpr std::array<std::pair<Purpose, std::string_view>, 8> purpose_names{{
    {Purpose::via, "via"}, {Purpose::contact, "contact"}, {Purpose::route, "route"}, {Purpose::path, "path"},
    {Purpose::rtp, "rtp"}, {Purpose::rtcp, "rtcp"}, {Purpose::media, "media"}, {Purpose::way_out, "way-out"},
}};

bool is_inbound(const Door& door) { return door.kernel.kind == KernelDoor::Kind::inbound; }

bool covers(const Network& wide, const Network& narrow) {
  return wide.is_any() || (!narrow.is_any() && wide.prefix <= narrow.prefix && wide.contains(narrow.address));
}

}  // namespace

std::string names_of(uint8_t purposes) {
  std::string out;
  for (const auto& [purpose, name] : purpose_names) {
    if ((purposes & static_cast<uint8_t>(purpose)) == 0) continue;
    if (!out.empty()) out += ',';
    out += name;
  }
  return out;
}

void DoorTable::learn_forwarded(Protocol protocol, const Endpoint& outside, const Endpoint& inside) {
  if (forwarded_.size() < limits::registrations) forwarded_[{protocol, outside}] = inside;
}

std::optional<Reason> DoorTable::bound_reached(const Address& inside_host) const {
  if (doors_.size() >= limits::doors) return Reason::table_full;
  const auto it = per_host_.find(inside_host);
  if (it != per_host_.end() && it->second >= limits::doors_per_inside_host) return Reason::table_full;
  return std::nullopt;
}

DoorId DoorTable::insert(KernelDoor kernel, Purpose purpose) {
  Door door;
  door.kernel = kernel;
  door.owners = 1;
  door.purposes = static_cast<uint8_t>(purpose);
  const DoorId id = doors_.insert(std::move(door));
  index(id, kernel);
  return id;
}

void DoorTable::index(DoorId id, const KernelDoor& kernel) {
  by_inside_[{kernel.protocol, kernel.inside}].push_back(id);
  by_outside_[{kernel.protocol, kernel.outside}].push_back(id);
  ++per_host_[kernel.inside.address];
}

void DoorTable::hold(DoorId id, Purpose purpose) {
  Door* door = doors_.find(id);
  ++door->owners;
  door->purposes = static_cast<uint8_t>(door->purposes | static_cast<uint8_t>(purpose));
}

std::expected<DoorId, Reason> DoorTable::claim_signalling(const SignallingWish& wish, Instant now) {
  if (const auto it = by_inside_.find({wish.protocol, wish.inside}); it != by_inside_.end()) {
    for (DoorId id : it->second) {
      const KernelDoor& kernel = doors_.find(id)->kernel;
      if (kernel.kind != KernelDoor::Kind::inbound || !kernel.signalling) continue;
      if (kernel.outside.address != wish.outside_address || !covers(kernel.scope, wish.scope)) continue;
      if (wish.exactly != 0 && kernel.outside.port != wish.exactly) continue;
      hold(id, wish.purpose);
      return id;
    }
  }
  if (const auto full = bound_reached(wish.inside.address)) return std::unexpected(*full);
  const uint16_t port = choose_signalling_port(wish, now);
  if (port == 0) return std::unexpected(Reason::ports_exhausted);
  KernelDoor kernel;
  kernel.protocol = wish.protocol;
  kernel.inside = wish.inside;
  kernel.outside = {wish.outside_address, port};
  kernel.scope = wish.scope;
  kernel.signalling = true;
  kernel.zone = wish.zone;
  if (once_signalling_.size() >= limits::registrations) once_signalling_.clear();
  once_signalling_.insert({wish.protocol, kernel.outside});
  return insert(kernel, wish.purpose);
}

DoorId DoorTable::find_media(Protocol protocol, const Endpoint& inside, const Address& outside_address) const {
  const auto it = by_inside_.find({protocol, inside});
  if (it == by_inside_.end()) return 0;
  for (DoorId id : it->second) {
    const Door* door = doors_.find(id);
    if (is_inbound(*door) && !door->kernel.signalling && door->kernel.outside.address == outside_address) return id;
  }
  return 0;
}

std::expected<std::vector<DoorId>, Reason> DoorTable::claim_media(const MediaWish& wish, Instant now) {
  bool all_live = true;  // then nothing new is asked for
  for (uint16_t i = 0; i < wish.ports; ++i)
    all_live = all_live && find_media(wish.protocol, {wish.inside.address, static_cast<uint16_t>(wish.inside.port + i)}, wish.outside_address) != 0;
  if (const auto full = bound_reached(wish.inside.address); full && !all_live) return std::unexpected(*full);
  const uint16_t first = choose_media_port(wish, now);
  if (first == 0) return std::unexpected(Reason::ports_exhausted);
  std::vector<DoorId> out;
  for (uint16_t i = 0; i < wish.ports; ++i) {
    const Endpoint inside{wish.inside.address, static_cast<uint16_t>(wish.inside.port + i)};
    const Purpose purpose = wish.with_rtcp && i % 2 == 1 ? Purpose::rtcp : wish.purpose;
    const Endpoint outside{wish.outside_address, static_cast<uint16_t>(first + i)};
    const DoorId living = find_media(wish.protocol, inside, wish.outside_address);
    if (living != 0 && doors_.find(living)->kernel.outside == outside) {
      hold(living, purpose);
      out.push_back(living);
      continue;
    }
    KernelDoor kernel;
    kernel.protocol = wish.protocol;
    kernel.inside = inside;
    kernel.outside = outside;
    kernel.zone = wish.zone;
    rest_.forget(wish.protocol, outside);
    out.push_back(insert(kernel, purpose));
  }
  return out;
}

std::expected<DoorId, Reason> DoorTable::claim_way_out(Protocol protocol, const Address& inside_host,
                                                       const Endpoint& remote, bool signalling, uint16_t zone) {
  KernelDoor kernel;
  kernel.kind = KernelDoor::Kind::way_out;
  kernel.protocol = protocol;
  kernel.inside = {inside_host, 0};
  kernel.outside = remote;
  kernel.signalling = signalling;
  kernel.zone = zone;
  const auto of_host = by_inside_.find({protocol, kernel.inside}), of_remote = by_outside_.find({protocol, remote});
  if (of_host != by_inside_.end() && of_remote != by_outside_.end()) {
    // the shorter list: a trunk has thousands of remotes, a provider thousands of hosts
    const auto& ids = of_host->second.size() < of_remote->second.size() ? of_host->second : of_remote->second;
    for (DoorId id : ids) {
      const KernelDoor& known = doors_.find(id)->kernel;
      if (known.kind != kernel.kind || known.inside != kernel.inside || known.outside != remote) continue;
      hold(id, Purpose::way_out);
      return id;
    }
  }
  if (const auto full = bound_reached(inside_host)) return std::unexpected(*full);
  return insert(kernel, Purpose::way_out);
}

std::expected<void, Reason> DoorTable::open(std::span<const DoorId> doors, DoorId sibling) {
  std::vector<KernelDoor> wanted;
  std::vector<DoorId> ids;
  for (DoorId id : doors) {
    const Door* door = doors_.find(id);
    if (!door || door->handle != 0 || door->dead || std::ranges::find(ids, id) != ids.end()) continue;
    wanted.push_back(door->kernel);
    ids.push_back(id);
  }
  if (wanted.empty()) return {};
  flush();  // what was closed a moment ago must not stand in the way
  std::vector<DoorHandle> handles(wanted.size());
  const Door* beside = doors_.find(sibling);
  if (const auto made = keeper_.open(wanted, handles, beside ? beside->handle : 0); !made) {
    stats_.count(Event::doors_refused, wanted.size());
    const bool full = made.error() == std::errc::too_many_files_open;  // how the kernel says that its expectation table is
    return std::unexpected(full ? Reason::expectations_full : Reason::kernel_refused);
  }
  for (std::size_t i = 0; i < ids.size(); ++i) doors_.find(ids[i])->handle = handles[i];
  in_kernel_ += ids.size();
  opened_.insert(opened_.end(), ids.begin(), ids.end());
  stats_.count(Event::doors_opened, ids.size());
  const auto ways_out = std::ranges::count(wanted, KernelDoor::Kind::way_out, &KernelDoor::kind);
  stats_.count(Event::ways_out_opened, static_cast<uint64_t>(ways_out));
  return {};
}

void DoorTable::unindex(DoorId id, const Door& door) {
  const auto drop = [id](Index& index, const Place& place) {
    const auto it = index.find(place);
    if (it == index.end()) return;
    std::erase(it->second, id);
    if (it->second.empty()) index.erase(it);
  };
  drop(by_inside_, {door.kernel.protocol, door.kernel.inside});
  drop(by_outside_, {door.kernel.protocol, door.kernel.outside});
  const auto host = per_host_.find(door.kernel.inside.address);
  if (host != per_host_.end() && --host->second == 0) per_host_.erase(host);
}

void DoorTable::erase(DoorId id, Instant now) {
  Door* door = doors_.find(id);
  if (door->handle != 0) {
    closing_.push_back(door->handle);
    --in_kernel_;
    stats_.count(Event::doors_closed);
  }
  if (!door->dead) unindex(id, *door);
  if (is_inbound(*door) && !door->kernel.signalling && !door->dead)
    rest_.begin(door->kernel.protocol, door->kernel.outside, door->kernel.inside, now);
  doors_.erase(id);
}

void DoorTable::release(DoorId id, Instant now) {
  Door* door = doors_.find(id);
  if (!door) return;
  if (--door->owners == 0) erase(id, now);
}

void DoorTable::flush() {
  if (closing_.empty()) return;
  keeper_.close(closing_);
  closing_.clear();
}

void DoorTable::address_lost(const Address& outside_address) {
  for (DoorId id : doors_.ids()) {
    Door* door = doors_.find(id);
    if (!is_inbound(*door) || door->dead || door->kernel.outside.address != outside_address) continue;
    door->was_open = door->handle != 0;
    if (door->was_open) {
      closing_.push_back(std::exchange(door->handle, 0));
      --in_kernel_;
      stats_.count(Event::doors_closed);
    }
    unindex(id, *door);
    door->dead = true;
  }
  flush();
}

bool DoorTable::is_place_taken(const KernelDoor& kernel) const {
  const auto it = by_outside_.find({kernel.protocol, kernel.outside});
  return it != by_outside_.end() && std::ranges::any_of(it->second, [&](DoorId id) {
    const Door* other = doors_.find(id);
    return is_inbound(*other) && (covers(other->kernel.scope, kernel.scope) || covers(kernel.scope, other->kernel.scope));
  });
}

void DoorTable::address_returned(const Address& outside_address) {
  for (DoorId id : doors_.ids()) {
    Door* door = doors_.find(id);
    if (!door->dead || door->kernel.outside.address != outside_address || is_place_taken(door->kernel)) continue;
    door->dead = false;
    index(id, door->kernel);
    if (door->was_open) (void)open({&id, 1});  // refused: as one that was never opened; the next message asks again
  }
}

const Door* DoorTable::find_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address,
                                       const Address& remote) const {
  const auto it = by_inside_.find({protocol, inside});
  if (it == by_inside_.end()) return nullptr;
  for (DoorId id : it->second) {
    const Door* door = doors_.find(id);
    if (!is_inbound(*door) || !door->kernel.signalling) continue;
    if (door->kernel.outside.address == outside_address && door->kernel.scope.contains(remote)) return door;
  }
  return nullptr;
}

Door* DoorTable::find_outside(Protocol protocol, const Endpoint& outside, const Address& remote) {
  const auto it = by_outside_.find({protocol, outside});
  if (it == by_outside_.end()) return nullptr;
  for (DoorId id : it->second) {
    Door* door = doors_.find(id);
    if (is_inbound(*door) && door->kernel.scope.contains(remote)) return door;
  }
  return nullptr;
}

bool DoorTable::is_outside_endpoint(Protocol protocol, const Endpoint& outside) const {
  const auto it = by_outside_.find({protocol, outside});
  return it != by_outside_.end() && std::ranges::any_of(it->second, [&](DoorId id) { return is_inbound(*doors_.find(id)); });
}

bool DoorTable::was_signalling_endpoint(Protocol protocol, const Endpoint& outside) const {
  return once_signalling_.contains({protocol, outside}) || is_outside_endpoint(protocol, outside);
}

bool DoorTable::has_flow(std::span<const DoorId> doors) const {
  std::vector<DoorHandle> handles;
  for (DoorId id : doors)
    if (const Door* door = doors_.find(id); door && door->handle != 0) handles.push_back(door->handle);
  return !handles.empty() && keeper_.has_flow(handles);
}

}  // namespace sipalg
