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

bool covers(const Network& wide, const Network& narrow) {
  return wide.is_any() || (!narrow.is_any() && wide.prefix <= narrow.prefix && wide.contains(narrow.address));
}

bool joins(const DoorWay& way, const Address& outside_address, const Address& inside_host) {
  return way.outside.address == outside_address && (!inside_host.is_set() || way.inside.address == inside_host);
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
  if (forwarded_.size() >= limits::registrations) return;
  forwarded_[{protocol, outside}] = inside;
  if (shared_ != nullptr && shared_->take(protocol, outside, me_) != me_) shared_->share(protocol, outside);
}

// May this part decide over it? Not while another one does: then the claim stops here, or has its answer.
bool DoorTable::is_mine(const Place& place, bool is_twin) {
  if (is_stopped()) return false;
  if (shared_ == nullptr || shared_->take(place.protocol, place.endpoint, me_) == me_) return true;
  if (elsewhere_ == nullptr) return false;
  if (const auto it = elsewhere_->answers.find(place); it != elsewhere_->answers.end()) return it->second;
  elsewhere_->unknown = place;
  elsewhere_->is_twin = is_twin;
  return false;
}

// The claim is made again: what comes before has been tried, and answers get no better within one claim.
void DoorTable::stopped_at(uint32_t tried) {
  if (is_stopped()) elsewhere_->reached = tried;
}

DoorTable::Answer DoorTable::ask(const Place& place, const Endpoint& inside, const Network& scope, Instant now) {
  bool is_beside = false;
  const DoorId in_the_way = find_at_outside(place.protocol, place.endpoint, [&](const Door& door) {
    is_beside = true;
    return !way_of(door).signalling || overlap(way_of(door).scope, scope);
  });
  if (in_the_way != 0 || forwarded_.contains(place)) return Answer::taken;
  if (is_beside) return Answer::beside;
  return rest_.is_resting(place.protocol, place.endpoint, inside, now) ? Answer::taken : Answer::clear;
}

std::optional<Reason> DoorTable::bound_reached(const Address& inside_host) const {
  if (doors_.size() >= limits::doors) return Reason::table_full;
  const auto it = per_host_.find(inside_host);
  if (it != per_host_.end() && it->second >= limits::doors_per_inside_host) return Reason::table_full;
  return std::nullopt;
}

DoorId DoorTable::insert(const KernelDoor& kernel, Purpose purpose) {
  const auto [id, door] = doors_.add();
  door.way = ways_.hold(sipalg::way_of(kernel));
  door.inside_port = kernel.inside.port;
  door.outside_port = kernel.outside.port;
  door.kind = kernel.kind;
  door.owners = 1;
  door.purposes = static_cast<uint8_t>(purpose);
  index(id);
  return id;
}

std::size_t DoorTable::inside_hash(const DoorWay& way, const Endpoint& inside, const Endpoint& outside) {
  if (way.kind == KernelDoor::Kind::inbound) return hash_of(way.protocol, inside);
  return hash_of(way.protocol, outside) ^ std::hash<Address>{}(inside.address);
}

void DoorTable::index(DoorId id) {
  const Door& door = *doors_.find(id);
  by_inside_.insert(id);
  if (door.is_inbound()) by_outside_.insert(id);
  if (shared_ != nullptr && door.is_inbound() && way_of(door).inside.address == way_of(door).outside.address)
    shared_->note_host(way_of(door).outside.address);
  ++per_host_[way_of(door).inside.address];
}

void DoorTable::hold(DoorId id, Purpose purpose) {
  if (is_opening(id)) settle();
  Door* door = doors_.find(id);
  ++door->owners;
  door->purposes = static_cast<uint8_t>(door->purposes | static_cast<uint8_t>(purpose));
}

std::expected<DoorId, Reason> DoorTable::claim_signalling(const SignallingWish& wish, Instant now, Elsewhere* elsewhere) {
  elsewhere_ = elsewhere;
  const DoorId living = find_at_inside(wish.protocol, wish.inside, [&](const Door& door) {
    const DoorWay& way = way_of(door);
    return way.signalling && way.outside.address == wish.outside_address && covers(way.scope, wish.scope) &&
           (wish.exactly == 0 || door.outside_port == wish.exactly);
  });
  if (living != 0) {
    hold(living, wish.purpose);
    return living;
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
  return find_at_inside(protocol, inside, [&](const Door& door) {
    return !way_of(door).signalling && way_of(door).outside.address == outside_address;
  });
}

// The doors a line has already, place by place; 0: none.
DoorTable::MediaDoors DoorTable::find_run(const MediaWish& wish) const {
  MediaDoors run;
  for (uint16_t i = 0; i < wish.ports; ++i)
    run.push_back(find_media(wish.protocol, {wish.inside.address, static_cast<uint16_t>(wish.inside.port + i)}, wish.outside_address));
  return run;
}

std::expected<DoorTable::MediaDoors, Reason> DoorTable::claim_media(const MediaWish& wish, Instant now, Elsewhere* elsewhere) {
  elsewhere_ = elsewhere;
  const MediaDoors run = find_run(wish);
  const bool all_live = std::ranges::find(run, DoorId{0}) == run.end();  // then nothing new is asked for
  if (const auto full = all_live ? std::nullopt : bound_reached(wish.inside.address)) return std::unexpected(*full);
  const uint16_t first = choose_media_port(wish, run, now);
  if (first == 0) return std::unexpected(Reason::ports_exhausted);
  MediaDoors out;
  for (uint16_t i = 0; i < wish.ports; ++i) {
    const Endpoint inside{wish.inside.address, static_cast<uint16_t>(wish.inside.port + i)};
    const Purpose purpose = wish.with_rtcp && i % 2 == 1 ? Purpose::rtcp : wish.purpose;
    const Endpoint outside{wish.outside_address, static_cast<uint16_t>(first + i)};
    const DoorId living = run[i];
    if (living != 0 && outside_of(living) == outside) {
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
  const DoorId living = by_inside_.find(inside_hash(kernel, kernel.inside, remote), [&](const Door& door) {
    if (door.is_inbound() || door.outside_port != remote.port) return false;
    const DoorWay& way = way_of(door);
    return way.protocol == protocol && way.inside.address == inside_host && way.outside.address == remote.address;
  });
  if (living != 0) {
    hold(living, Purpose::way_out);
    return living;
  }
  if (const auto full = bound_reached(inside_host)) return std::unexpected(*full);
  return insert(kernel, Purpose::way_out);
}

std::expected<void, Reason> DoorTable::open(std::span<const DoorId> doors, std::vector<DoorId>& opened, DoorId sibling) {
  if (std::ranges::any_of(doors, [this](DoorId id) { return is_opening(id); })) settle();
  Opening opening(*this);
  auto& wanted = opening.wanted;
  auto& ids = opening.ids;
  auto& handles = opening.handles;
  for (DoorId id : doors) {
    const Door* door = doors_.find(id);
    if (!door || door->handle != 0 || door->dead || std::ranges::find(ids, id) != ids.end()) continue;
    wanted.push_back(kernel_door(*door));
    ids.push_back(id);
  }
  if (wanted.empty()) return {};
  flush();  // what was closed a moment ago must not stand in the way
  handles.resize(wanted.size());
  const Door* beside = doors_.find(sibling);
  if (const auto made = keeper_.open({wanted.data(), wanted.size()}, {handles.data(), handles.size()}, beside ? beside->handle : 0); !made) {
    handles.clear();
    stats_.count(Event::doors_refused, wanted.size());
    const bool full = made.error() == std::errc::too_many_files_open;  // how the kernel says that its expectation table is
    return std::unexpected(full ? Reason::expectations_full : Reason::kernel_refused);
  }
  opened.insert(opened.end(), ids.begin(), ids.end());
  return {};
}

DoorTable::Opening::~Opening() { table.note(*this); }

// The kernel has its doors, or has not.
void DoorTable::note(Opening& opening) {
  if (std::exchange(opening.is_settled, true) || opening.handles.empty() || opening.handles.front() == 0) return;
  for (std::size_t i = 0; i < opening.ids.size(); ++i) doors_.find(opening.ids[i])->handle = opening.handles[i];
  in_kernel_ += opening.ids.size();
  stats_.count(Event::doors_opened, opening.ids.size());
  const auto ways_out = std::ranges::count(opening.wanted, KernelDoor::Kind::way_out, &KernelDoor::kind);
  stats_.count(Event::ways_out_opened, static_cast<uint64_t>(ways_out));
}

bool DoorTable::is_opening(DoorId id) const {
  return std::ranges::any_of(openings_, [id](const Opening* opening) {
    return !opening->is_settled && std::ranges::find(opening->ids, id) != opening->ids.end();
  });
}

void DoorTable::settle() {
  keeper_.settle();
  for (Opening* opening : openings_) note(*opening);
}

void DoorTable::unindex(DoorId id) {
  const Door& door = *doors_.find(id);
  by_inside_.erase(id);
  if (door.is_inbound()) by_outside_.erase(id);
  const auto host = per_host_.find(way_of(door).inside.address);
  if (host != per_host_.end() && --host->second == 0) per_host_.erase(host);
}

void DoorTable::shut(DoorId id) {
  Door* door = doors_.find(id);
  if (!door || door->handle == 0) return;
  closing_.push_back(std::exchange(door->handle, 0));
  --in_kernel_;
  stats_.count(Event::doors_closed);
}

void DoorTable::shut_unshared(DoorId id) {
  if (const Door* door = doors_.find(id); door && door->owners == 1) shut(id);
}

void DoorTable::erase(DoorId id, Instant now) {
  Door* door = doors_.find(id);
  shut(id);
  if (!door->dead) unindex(id);
  const DoorWay& way = way_of(*door);
  if (way.signalling) contacts_.erase(door);
  if (door->is_inbound() && !way.signalling && !door->dead) rest_.begin(way.protocol, outside_of(*door), inside_of(*door), now);
  ways_.release(door->way);
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

void DoorTable::address_lost(const Address& outside_address, const Address& inside_host) {
  if (is_waited_for()) settle();
  for (DoorId id : doors_.ids())
    if (const Door* door = doors_.find(id); door->is_inbound() && !door->dead && joins(way_of(*door), outside_address, inside_host)) die(id);
  flush();
}

bool DoorTable::endpoint_lost(Protocol protocol, const Endpoint& inside, const Endpoint& outside, const Address& remote) {
  const auto leads_there = [&](const Door& door) {
    return door.handle != 0 && outside_of(door) == outside && way_of(door).scope.contains(remote);
  };
  bool was_there = false;
  for (DoorId id = find_at_inside(protocol, inside, leads_there); id != 0; id = find_at_inside(protocol, inside, leads_there)) {
    die(id);
    was_there = true;
  }
  flush();
  return was_there;
}

void DoorTable::die(DoorId id) {
  Door* door = doors_.find(id);
  door->was_open = door->handle != 0;
  shut(id);
  unindex(id);
  door->dead = true;
}

bool DoorTable::is_place_taken(const KernelDoor& kernel) {
  elsewhere_ = nullptr;
  const bool is_own = kernel.inside.address == kernel.outside.address;
  return (!is_own && !is_mine({kernel.protocol, kernel.outside})) || find_at_outside(kernel.protocol, kernel.outside, [&](const Door& other) {
           return covers(way_of(other).scope, kernel.scope) || covers(kernel.scope, way_of(other).scope);
         }) != 0;
}

void DoorTable::address_returned(const Address& outside_address, const Address& inside_host) {
  for (DoorId id : doors_.ids()) {
    Door* door = doors_.find(id);
    if (!door->dead || !joins(way_of(*door), outside_address, inside_host) || is_place_taken(kernel_door(*door))) continue;
    door->dead = false;
    index(id);
    std::vector<DoorId> opened;
    if (door->was_open) (void)open({&id, 1}, opened);  // refused: as one that was never opened; the next message asks again
  }
}

DoorTable::Contact DoorTable::contact_of(const Door& door) const {
  const auto it = contacts_.find(&door);
  return it == contacts_.end() ? Contact{} : Contact{it->second[0], it->second[1]};
}

void DoorTable::note_contact(DoorId id, const Contact& contact) {
  const Door* door = doors_.find(id);
  if (!door) return;
  const Contact known = contact_of(*door);
  if (known.text != contact.text || known.user != contact.user) contacts_[door] = Texts<2>({contact.text, contact.user});
}

DoorId DoorTable::find_signalling(Protocol protocol, const Endpoint& inside, const Address& outside_address,
                                  const Address& remote) const {
  return find_at_inside(protocol, inside, [&](const Door& door) {
    const DoorWay& way = way_of(door);
    return way.signalling && way.outside.address == outside_address && way.scope.contains(remote);
  });
}

DoorId DoorTable::find_outside(Protocol protocol, const Endpoint& outside, const Address& remote) const {
  return find_at_outside(protocol, outside, [&](const Door& door) { return way_of(door).scope.contains(remote); });
}

bool DoorTable::is_outside_endpoint(Protocol protocol, const Endpoint& outside) const {
  return find_at_outside(protocol, outside, [](const Door&) { return true; }) != 0;
}

bool DoorTable::was_signalling_endpoint(Protocol protocol, const Endpoint& outside) const {
  return once_signalling_.contains({protocol, outside}) || is_outside_endpoint(protocol, outside);
}

void DoorTable::add_handles(std::span<const DoorId> doors, AnySmallList<DoorHandle>& handles) const {
  for (DoorId id : doors)
    if (const Door* door = doors_.find(id); door && door->handle != 0) handles.push_back(door->handle);
}

}  // namespace sipalg
