// SPDX-License-Identifier: GPL-2.0-or-later
// Doors in the kernel: opening and closing them. nf_door_keeper_life.cc keeps them alive.
#include "conntrack/nf_door_keeper.h"

#include <algorithm>
#include <cassert>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace sipalg {
namespace {

constexpr unsigned event_groups = NF_NETLINK_CONNTRACK_DESTROY | NF_NETLINK_CONNTRACK_EXP_DESTROY;
constexpr int attempts = 3; // an anchor of that number may be there already

constexpr std::size_t few_pinholes = 16; // for these alone it is not worth while to stop listening

constexpr std::size_t closings_at_once = 2048; // a transaction of tens of thousands would not fit the send buffer
constexpr std::size_t enough_closings = 64;    // more in one transaction make them hardly cheaper, and packets wait for it

void append_change(const KernelDoor& door, std::vector<Translation>& translations, std::vector<SteeringEndpoint>& endpoints) {
  if (translates(door)) translations.push_back({door.protocol, door.inside, door.outside, door.scope});
  if (!door.signalling) return;
  endpoints.push_back({door.protocol, door.outside});
  if (translates(door)) endpoints.push_back({door.protocol, door.inside});
}

// Nobody listens for pinholes that go.
class Unheard {
 public:
  explicit Unheard(NetlinkSocket& events) : events_(events) { events_.leave(NFNLGRP_CONNTRACK_EXP_DESTROY); }
  ~Unheard() { events_.join(NFNLGRP_CONNTRACK_EXP_DESTROY); }
  Unheard(const Unheard&) = delete;
  Unheard& operator=(const Unheard&) = delete;

 private:
  NetlinkSocket& events_;
};

// A door the kernel could not be asked for.
bool is_sound(const KernelDoor& door) {
  if (!door.inside.is_set() || !door.outside.is_set() || door.outside.port == 0) return false;
  if (door.inside.address.family() != door.outside.address.family()) return false;
  if (door.kind == KernelDoor::Kind::way_out) return true;
  return door.inside.port != 0 && (door.scope.is_any() || door.scope.address.family() == door.outside.address.family());
}

} // namespace

NfDoorKeeper::NfDoorKeeper(Steering& steering, NfDoorKeeperOptions options)
    : steering_(steering), options_(options), events_(NETLINK_NETFILTER, event_groups), flows_(conntrack_, doors_, options.has_thread) {
  attach_anchor_filter(events_.fd(), conntrack_.socket().portid());
  remove_leftovers();
  raise_limit();
  check();
}

NfDoorKeeper::~NfDoorKeeper() { close_all(); }

// --- anchors ---

bool NfDoorKeeper::Held::is_empty() const {
  return std::ranges::all_of(doors, [](uint32_t door) { return door == no_place; });
}
bool NfDoorKeeper::Held::has_room() const { return std::ranges::find(doors, no_place) != doors.end(); }

Anchor NfDoorKeeper::anchor_at(uint32_t place) const {
  const Held& held = anchors_[place];
  return {held.number, held.family, held.zone};
}

std::optional<uint32_t> NfDoorKeeper::find_anchor(const Anchor& anchor) const {
  const uint32_t place = anchor.number % anchor_places;
  if (!anchors_.contains(place) || anchor_at(place) != anchor) return {};
  return place;
}

uint32_t NfDoorKeeper::new_anchor(Family family, uint16_t zone) {
  const uint32_t place = anchors_.insert();
  last_round_ = (last_round_ + 1) % rounds;
  Held& held = anchors_[place];
  held.number = last_round_ * anchor_places + place;
  held.family = family;
  held.zone = zone;
  schedule(place, now_ + options_.refresh);
  return place;
}

void NfDoorKeeper::drop_anchor(uint32_t place) {
  unschedule(place);
  anchors_.erase(place);
}

// --- opening ---

void NfDoorKeeper::Plan::clear() {
  doors.clear(), anchors.clear();
  current = no_place;
  has_sibling = false;
  change.clear(), batch.clear(), makes.clear();
}

NfDoorKeeper::Result NfDoorKeeper::add_to_plan(std::span<const KernelDoor> doors, DoorHandle sibling) {
  plan_.current = no_place;
  if (const auto place = doors_.find(sibling); place && doors_[*place].is_open) plan_.current = doors_[*place].anchor;
  bool is_siblings = true;  // the anchor that gets the next pinhole
  for (const KernelDoor& door : doors) {
    const Family family = door.outside.address.family();
    const bool fits = plan_.current != no_place && anchors_[plan_.current].family == family &&
                      anchors_[plan_.current].zone == door.zone && anchors_[plan_.current].has_room();
    if (!fits) {
      if (anchors_.size() == anchor_places) return std::unexpected(errno_code(ENOMEM));
      plan_.current = new_anchor(family, door.zone);
      is_siblings = false;
      plan_.anchors.push_back(plan_.current);
      plan_.makes.push_back(plan_.current);
      put_anchor(plan_.batch, anchor_at(plan_.current), options_.lease);
    }
    plan_.has_sibling = plan_.has_sibling || is_siblings;
    const uint32_t place = doors_.insert(door);
    plan_.doors.push_back(place);
    doors_[place].anchor = plan_.current;
    *std::ranges::find(anchors_[plan_.current].doors, no_place) = place;
    plan_.makes.push_back(no_place);
    put_pinhole(plan_.batch, anchor_at(plan_.current), pinhole_of(door));
    append_change(door, plan_.change.add_translations, plan_.change.add_endpoints);
  }
  return {};
}

std::expected<void, std::error_code> NfDoorKeeper::open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                                        DoorHandle sibling) {
  assert(handles.size() == doors.size());
  if (!std::all_of(doors.begin(), doors.end(), is_sound)) return std::unexpected(errno_code(EINVAL));
  if (is_in_the_way(doors)) flush();
  for (int attempt = 1;; ++attempt) {
    plan_.clear();
    Result result = add_to_plan(doors, attempt == 1 ? sibling : 0);
    if (result) result = make();
    if (result) {
      keep(plan_.doors, handles);
      counters_.flows_deleted += flows_.clear_strays(doors);
      return {};
    }
    forget_plan();
    const bool was_crowded = !closing_.empty(); // what stands still may be what the kernel has no room for
    flush();
    if ((was_crowded || result.error() == errno_code(EAGAIN)) && attempt < attempts) continue;
    ++counters_.refused;
    return result;
  }
}

void NfDoorKeeper::open_all(std::span<Wish* const> wishes) {
  if (wishes.size() > 1 && open_together(wishes)) return;
  for (Wish* wish : wishes) wish->result = open(wish->doors, wish->handles, wish->sibling);
}

// All or nothing: false leaves everything as it was.
bool NfDoorKeeper::open_together(std::span<Wish* const> wishes) {
  if (!std::ranges::all_of(wishes, [](const Wish* wish) { return std::ranges::all_of(wish->doors, is_sound); })) return false;
  if (std::ranges::any_of(wishes, [this](const Wish* wish) { return is_in_the_way(wish->doors); })) flush();
  plan_.clear();
  const bool is_planned = std::ranges::all_of(wishes, [this](const Wish* wish) { return add_to_plan(wish->doors, wish->sibling).has_value(); });
  if (!is_planned || !make()) {
    forget_plan();
    return false;
  }
  for (std::span<const uint32_t> places = plan_.doors; Wish* wish : wishes) {
    keep(places.first(wish->doors.size()), wish->handles);
    places = places.subspan(wish->doors.size());
    wish->result.emplace();
  }
  for (const Wish* wish : wishes) counters_.flows_deleted += flows_.clear_strays(wish->doors);
  return true;
}

// Translations first: a pinhole without its translation would lead to the router itself. EAGAIN: an anchor's number
// was taken, or the sibling's anchor is lost.
NfDoorKeeper::Result NfDoorKeeper::make() {
  if (const auto applied = steering_.apply(plan_.change); !applied) return applied;
  const auto results = conntrack_.socket().exchange(plan_.batch);
  if (results.is_well()) return {};
  undo(results);
  const auto& first = results.failures().front();
  const bool is_taken = plan_.makes[first.index] != no_place && first.error == EEXIST;
  const bool is_lost = plan_.has_sibling && first.error == ENOENT;
  return std::unexpected(errno_code(is_taken || is_lost ? EAGAIN : first.error));
}

// An anchor takes its pinholes with it; those under a sibling's anchor go one by one.
void NfDoorKeeper::undo(const NetlinkSocket::Results& results) {
  batch_.clear();
  std::vector<uint32_t> singles;
  for (std::size_t i = results.size(); i-- > 0;)
    if (plan_.makes[i] != no_place && !results[i]) put_anchor_delete(batch_, anchor_at(plan_.makes[i]));
  conntrack_.socket().exchange(batch_);
  std::size_t door = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (plan_.makes[i] != no_place) continue;
    const uint32_t place = plan_.doors[door++];
    if (!results[i] && std::ranges::find(plan_.anchors, doors_[place].anchor) == plan_.anchors.end()) singles.push_back(place);
  }
  if (!singles.empty()) delete_pinholes(singles);
  take_away(plan_.change.undo());
}

void NfDoorKeeper::forget_plan() {
  for (const uint32_t door : plan_.doors) {
    leave_anchor(door);
    doors_.erase(door);
  }
  for (const uint32_t anchor : plan_.anchors) drop_anchor(anchor);
  plan_.clear();
}

void NfDoorKeeper::keep(std::span<const uint32_t> places, std::span<DoorHandle> handles) {
  for (std::size_t i = 0; i < places.size(); ++i) {
    const uint32_t place = places[i];
    handles[i] = doors_.handle(place);
    doors_[place].is_open = doors_[place].is_standing = true;
    flows_.opened(place);
  }
  open_ += places.size();
  counters_.opened += places.size();
}

// --- closing ---

void NfDoorKeeper::close(std::span<const DoorHandle> handles) {
  for (const DoorHandle handle : handles) {
    const auto place = doors_.find(handle);
    if (!place || !doors_[*place].is_open) continue;
    set_closed(*place);
    flows_.closed(*place);
  }
}

void NfDoorKeeper::set_closed(uint32_t place) {
  doors_[place].is_open = false;
  closing_.push_back(place);
  const DoorKey key = key_of(doors_.door(place));
  for (const Endpoint& endpoint : {key.inside, key.outside}) in_the_way_.set(secret_hash(key.protocol, endpoint) % in_the_way_.size());
  --open_;
  ++counters_.closed;
}

// A translation is found by either endpoint, a pinhole by the outside one; of a way out the host alone says nothing.
bool NfDoorKeeper::is_in_the_way(std::span<const KernelDoor> doors) const {
  if (closing_.empty()) return false;
  return std::ranges::any_of(doors, [this](const KernelDoor& door) {
    const auto is_marked = [&](const Endpoint& endpoint) { return in_the_way_.test(secret_hash(door.protocol, endpoint) % in_the_way_.size()); };
    return is_marked(door.outside) || (door.kind == KernelDoor::Kind::inbound && is_marked(door.inside));
  });
}

void NfDoorKeeper::flush() {
  if (closing_.empty()) return;
  for (std::span<const uint32_t> rest = closing_; !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), closings_at_once));
    flush(some);
    rest = rest.subspan(some.size());
  }
  closing_.clear();
  closing_since_.reset();
  in_the_way_.reset();
}

Instant NfDoorKeeper::flush_when_due(Instant now) {
  if (closing_.empty()) return Instant::max();
  if (!closing_since_) closing_since_ = now;
  const Instant due = *closing_since_ + longest_wait_of_closings;
  if (now < due && closing_.size() < enough_closings) return due;
  flush();
  return Instant::max();
}

// What the kernel refuses to take away now it is asked for again; taking away twice is no error.
void NfDoorKeeper::take_away(const SteeringChange& change) {
  if (!steering_.apply(change)) unclosed_.add(change);
}

void NfDoorKeeper::retry_unclosed() {
  if (!unclosed_.empty() && steering_.apply(unclosed_)) unclosed_.clear();
}

void NfDoorKeeper::flush(std::span<const uint32_t> closing) {
  for (const uint32_t door : closing) leave_anchor(door);
  batch_.clear();
  closed_change_.clear();
  std::vector<uint32_t> singles;
  for (const uint32_t door : closing) {
    append_change(doors_.door(door), closed_change_.remove_translations, closed_change_.remove_endpoints);
    const uint32_t anchor = doors_[door].anchor;
    if (!anchors_.contains(anchor)) continue; // went with another door of the same flush
    if (!anchors_[anchor].is_empty()) {
      singles.push_back(door);
      continue;
    }
    put_anchor_delete(batch_, anchor_at(anchor));
    drop_anchor(anchor);
  }
  delete_anchors(closing.size() - singles.size());
  if (!singles.empty()) delete_pinholes(singles);
  take_away(closed_change_);
  for (const uint32_t door : closing) {
    doors_[door].is_standing = false;
    if (DoorStore::is_over(doors_[door])) doors_.erase(door);
  }
}

// Those of batch_, with so many pinholes. Counted while somebody listens, before and after: what goes is heard, or counted, or both.
void NfDoorKeeper::delete_anchors(std::size_t pinholes) {
  const auto before = pinholes < few_pinholes ? std::unexpected(errno_code(0)) : conntrack_.count_gone_expectations();
  if (!before) return void(conntrack_.socket().exchange(batch_));
  {
    const Unheard unheard(events_);
    conntrack_.socket().exchange(batch_);
  }
  const auto after = conntrack_.count_gone_expectations();
  is_unsure_ = is_unsure_ || !after || *after - *before != pinholes;
}

void NfDoorKeeper::leave_anchor(uint32_t door) { std::ranges::replace(anchors_[doors_[door].anchor].doors, door, no_place); }

// A delete takes whatever covers the tuple: look first whose it is, then delete that one by its id.
void NfDoorKeeper::delete_pinholes(const std::vector<uint32_t>& doors) {
  NetlinkBatch questions, deletions;
  const auto anchor_of_door = [&](uint32_t door) { return anchor_at(doors_[door].anchor); };
  for (const uint32_t door : doors) put_pinhole_get(questions, anchor_of_door(door), doors_.pinhole(door));
  std::vector<uint32_t> ids(doors.size());
  conntrack_.socket().exchange(questions, [&](std::size_t i, const nlmsghdr& m) {
    if (const auto found = parse_expectation(m); found && found->master == anchor_of_door(doors[i]).tuple()) ids[i] = found->id;
  });
  for (std::size_t i = 0; i < doors.size(); ++i)
    if (ids[i] != 0) put_pinhole_delete(deletions, anchor_of_door(doors[i]), doors_.pinhole(doors[i]), ids[i]);
  conntrack_.socket().exchange(deletions);
}

bool NfDoorKeeper::is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) {
  return flows_.is_free(protocol, outside, inside);
}

bool NfDoorKeeper::is_surely_free(Protocol protocol, const Endpoint& outside) { return flows_.is_surely_free(protocol, outside); }

bool NfDoorKeeper::has_flow(std::span<const DoorHandle> handles) {
  return std::ranges::any_of(handles, [&](DoorHandle handle) {
    const auto place = doors_.find(handle);
    return place && doors_[*place].is_open && flows_.has_flow(doors_.door(*place));
  });
}

void NfDoorKeeper::close_all() {
  flush();
  counters_.flows_deleted += flows_.finish();
  flows_.begin_sweep();
  counters_.flows_deleted += flows_.finish();
  doors_.for_each([&](uint32_t place) {
    if (doors_[place].is_open) set_closed(place), flows_.left(place);
  });
  flush();
}

} // namespace sipalg
