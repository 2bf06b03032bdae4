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

Pinhole pinhole_of(const KernelDoor& door) {
  if (door.kind == KernelDoor::Kind::way_out) return {door.protocol, Network::of(door.inside.address), door.outside};
  return {door.protocol, door.scope, door.outside};
}

void append_change(SteeringChange& change, const KernelDoor& door) {
  const bool inbound = door.kind == KernelDoor::Kind::inbound;
  if (inbound && door.inside != door.outside)
    change.add_translations.push_back({door.protocol, door.inside, door.outside, door.scope});
  if (!door.signalling) return;
  change.add_endpoints.push_back({door.protocol, door.outside});
  if (inbound && door.inside != door.outside) change.add_endpoints.push_back({door.protocol, door.inside});
}

// A door the kernel could not be asked for.
bool is_sound(const KernelDoor& door) {
  if (!door.inside.is_set() || !door.outside.is_set() || door.outside.port == 0) return false;
  if (door.inside.address.family() != door.outside.address.family()) return false;
  if (door.kind == KernelDoor::Kind::way_out) return true;
  return door.inside.port != 0 && (door.scope.is_any() || door.scope.address.family() == door.outside.address.family());
}

} // namespace

NfDoorKeeper::NfDoorKeeper(Steering& steering, NfDoorKeeperOptions options)
    : steering_(steering), options_(options), events_(NETLINK_NETFILTER, event_groups), flows_(conntrack_) {
  attach_anchor_filter(events_.fd());
  remove_leftovers();
  raise_limit();
  check();
}

NfDoorKeeper::~NfDoorKeeper() { close_all(); }

Anchor NfDoorKeeper::new_anchor(Family family, uint16_t zone) {
  Anchor anchor{last_anchor_, family, zone};
  do {
    anchor.number = last_anchor_ = (last_anchor_ + 1) % Anchor::most;
  } while (anchors_.contains(anchor));
  return anchor;
}

NfDoorKeeper::Plan NfDoorKeeper::plan(std::span<const KernelDoor> doors) {
  struct Current {
    Anchor anchor;
    std::size_t pinholes = Anchor::pinholes;
  };
  std::map<std::pair<Family, uint16_t>, Current> current;
  Plan plan;
  for (const KernelDoor& door : doors) {
    const Family family = door.outside.address.family();
    Current& c = current[{family, door.zone}];
    if (c.pinholes == Anchor::pinholes) {
      c = {new_anchor(family, door.zone), 0};
      plan.anchors.push_back(c.anchor);
      plan.makes.push_back(c.anchor);
      put_anchor(plan.batch, c.anchor, options_.lease);
    }
    ++c.pinholes;
    plan.doors.push_back({door, pinhole_of(door), c.anchor});
    plan.makes.push_back({});
    put_pinhole(plan.batch, c.anchor, plan.doors.back().pinhole);
    append_change(plan.change, door);
  }
  return plan;
}

std::expected<void, std::error_code> NfDoorKeeper::open(std::span<const KernelDoor> doors,
                                                        std::span<DoorHandle> handles) {
  assert(handles.size() == doors.size());
  if (!std::all_of(doors.begin(), doors.end(), is_sound)) return std::unexpected(errno_code(EINVAL));
  for (int attempt = 1;; ++attempt) {
    Plan next = plan(doors);
    const Result result = make(next);
    if (result) {
      keep(next, handles);
      counters_.flows_deleted += flows_.clear_strays(doors);
      return {};
    }
    if (result.error() == errno_code(EAGAIN) && attempt < attempts) continue;
    ++counters_.refused;
    return result;
  }
}

// Translations first: a pinhole without its translation would lead to the router itself. EAGAIN: an anchor's number
// was taken.
NfDoorKeeper::Result NfDoorKeeper::make(Plan& plan) {
  if (const auto applied = steering_.apply(plan.change); !applied) return applied;
  const auto results = conntrack_.socket().exchange(plan.batch);
  const auto error = first_error(results);
  if (!error) return {};
  undo(plan, results);
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i] == error)
      return std::unexpected(plan.makes[i] && error == errno_code(EEXIST) ? errno_code(EAGAIN) : error);
  return std::unexpected(error);
}

// An anchor takes its pinholes with it.
void NfDoorKeeper::undo(const Plan& plan, const NetlinkSocket::Results& results) {
  NetlinkBatch batch;
  for (std::size_t i = results.size(); i-- > 0;)
    if (plan.makes[i] && !results[i]) put_anchor_delete(batch, *plan.makes[i]);
  conntrack_.socket().exchange(batch);
  static_cast<void>(steering_.apply(plan.change.undo()));
}

void NfDoorKeeper::keep(const Plan& plan, std::span<DoorHandle> handles) {
  for (const Anchor& anchor : plan.anchors) {
    anchors_[anchor] = {};
    schedule(anchor, now_ + options_.refresh);
  }
  for (std::size_t i = 0; i < plan.doors.size(); ++i) {
    const Door& door = plan.doors[i];
    handles[i] = ++last_handle_;
    auto& places = anchors_[door.anchor].doors;
    *std::find(places.begin(), places.end(), DoorHandle{0}) = handles[i];
    doors_.emplace(handles[i], door);
    flows_.opened(door.door);
  }
  counters_.opened += plan.doors.size();
}

void NfDoorKeeper::close(std::span<const DoorHandle> handles) {
  const std::vector<Door> closed = forget(handles);
  if (closed.empty()) return;
  delete_kernel_side(closed);
  SteeringChange change;
  for (const Door& door : closed) append_change(change, door.door);
  static_cast<void>(steering_.apply(change.undo()));
  for (const Door& door : closed) flows_.closed(door.door);
  counters_.closed += closed.size();
}

std::vector<NfDoorKeeper::Door> NfDoorKeeper::forget(std::span<const DoorHandle> handles) {
  std::vector<Door> gone;
  for (const DoorHandle handle : handles) {
    const auto found = doors_.find(handle);
    if (found == doors_.end()) continue;
    auto& places = anchors_[found->second.anchor].doors;
    std::replace(places.begin(), places.end(), handle, DoorHandle{0});
    gone.push_back(std::move(found->second));
    doors_.erase(found);
  }
  return gone;
}

void NfDoorKeeper::delete_kernel_side(const std::vector<Door>& doors) {
  NetlinkBatch batch;
  std::vector<Door> singles;
  for (const Door& door : doors) {
    const auto anchor = anchors_.find(door.anchor);
    if (anchor == anchors_.end()) continue; // went with another door of the same close()
    const auto& places = anchor->second.doors;
    if (std::any_of(places.begin(), places.end(), [](DoorHandle h) { return h != 0; })) {
      singles.push_back(door);
      continue;
    }
    put_anchor_delete(batch, door.anchor);
    anchors_.erase(anchor);
  }
  conntrack_.socket().exchange(batch);
  if (!singles.empty()) delete_pinholes(singles);
}

// A delete takes whatever covers the tuple: look first whose it is, then delete that one by its id.
void NfDoorKeeper::delete_pinholes(const std::vector<Door>& doors) {
  NetlinkBatch questions, deletions;
  for (const Door& door : doors) put_pinhole_get(questions, door.anchor, door.pinhole);
  std::vector<uint32_t> ids(doors.size());
  conntrack_.socket().exchange(questions, [&](std::size_t i, const nlmsghdr& m) {
    if (const auto found = parse_expectation(m); found && found->master == doors[i].anchor.tuple()) ids[i] = found->id;
  });
  for (std::size_t i = 0; i < doors.size(); ++i)
    if (ids[i] != 0) put_pinhole_delete(deletions, doors[i].anchor, doors[i].pinhole, ids[i]);
  conntrack_.socket().exchange(deletions);
}

bool NfDoorKeeper::is_free(Protocol protocol, const Endpoint& outside) { return flows_.is_free(protocol, outside); }

bool NfDoorKeeper::has_flow(std::span<const DoorHandle> handles) {
  return std::any_of(handles.begin(), handles.end(), [&](DoorHandle handle) {
    const auto found = doors_.find(handle);
    return found != doors_.end() && flows_.has_flow(found->second.door);
  });
}

void NfDoorKeeper::close_all() {
  std::vector<DoorHandle> all;
  for (const auto& [handle, door] : doors_) all.push_back(handle);
  close(all);
  counters_.flows_deleted += flows_.sweep();
}

} // namespace sipalg
