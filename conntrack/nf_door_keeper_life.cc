// SPDX-License-Identifier: GPL-2.0-or-later
// Doors in the kernel: leases, repair, and what an earlier process left behind.
#include <algorithm>
#include <fstream>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "conntrack/nf_door_keeper.h"

namespace sipalg {
namespace {

constexpr std::chrono::seconds sweep_interval{1};
constexpr std::size_t smallest_slice = 256; // anchors refreshed by one tick; more when there are very many
constexpr std::size_t ticks_per_refresh = 50;
constexpr const char* expect_max = "/proc/sys/net/netfilter/nf_conntrack_expect_max";
constexpr std::array<Family, 2> families{Family::v4, Family::v6};

} // namespace

// --- leases ---

void NfDoorKeeper::schedule(const Anchor& anchor, Instant at) {
  anchors_[anchor].refresh_at = at;
  refresh_order_.emplace_back(at, anchor);
}

void NfDoorKeeper::tick(Instant now) {
  now_ = now;
  refresh_due();
  if (!flows_.has_work() || now - swept_ < sweep_interval) return;
  swept_ = now;
  counters_.flows_deleted += flows_.sweep();
}

// All anchors have the same interval, so the order they were scheduled in is the order they fall due in.
void NfDoorKeeper::refresh_due() {
  const std::size_t slice = std::max(smallest_slice, anchors_.size() / ticks_per_refresh);
  std::vector<Anchor> due;
  while (!refresh_order_.empty() && refresh_order_.front().first <= now_ && due.size() < slice) {
    const auto [at, anchor] = refresh_order_.front();
    refresh_order_.pop_front();
    const auto found = anchors_.find(anchor);
    if (found != anchors_.end() && found->second.refresh_at == at) due.push_back(anchor);
  }
  if (!due.empty()) refresh(due);
}

void NfDoorKeeper::refresh(const std::vector<Anchor>& anchors) {
  NetlinkBatch batch;
  std::vector<Anchor> of; // which anchor a message is about
  for (const Anchor& anchor : anchors) {
    put_anchor_touch(batch, anchor, options_.lease);
    for (const DoorHandle handle : anchors_[anchor].doors)
      if (handle != 0) put_pinhole_refresh(batch, anchor, doors_.at(handle).pinhole, options_.lease);
    of.resize(batch.count(), anchor);
    schedule(anchor, now_ + options_.refresh);
  }
  const auto results = conntrack_.socket().exchange(batch);
  std::set<Anchor> lost;
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i] == errno_code(ENOENT)) lost.insert(of[i]);
  if (!lost.empty()) remake(lost);
}

// --- repair ---

// Somebody deleted something of ours. Both kinds of message begin with the anchor's tuple, the filter lets only those
// in.
void NfDoorKeeper::on_events() {
  std::set<Anchor> lost;
  std::set<DoorHandle> holes;
  for (;;) {
    const auto result = events_.receive([&](const nlmsghdr& m) { on_event(m, lost, holes); });
    if (result) break;
    if (result.error() != errno_code(ENOBUFS)) return;
    resync();
  }
  repair(lost, holes);
}

void NfDoorKeeper::on_event(const nlmsghdr& message, std::set<Anchor>& lost, std::set<DoorHandle>& holes) {
  if (message.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)) {
    const auto entry = parse_conntrack(message);
    const auto anchor = entry ? anchor_of(entry->original, entry->zone) : std::nullopt;
    if (anchor && anchors_.contains(*anchor)) lost.insert(*anchor);
  } else if (message.nlmsg_type == (NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_DELETE)) {
    const auto expectation = parse_expectation(message);
    if (const DoorHandle door = expectation ? find_door(*expectation) : 0) holes.insert(door);
  }
}

// The door of ours whose pinhole this is; 0 = none.
DoorHandle NfDoorKeeper::find_door(const Expectation& expectation) const {
  const auto anchor = anchor_of(expectation.master, expectation.zone);
  const auto found = anchor ? anchors_.find(*anchor) : anchors_.end();
  if (found == anchors_.end()) return 0;
  for (const DoorHandle handle : found->second.doors) {
    if (handle == 0) continue;
    const Pinhole& pinhole = doors_.at(handle).pinhole;
    if (pinhole.protocol == expectation.tuple.protocol && pinhole.destination == expectation.tuple.destination &&
        pinhole.source == expectation.from)
      return handle;
  }
  return 0;
}

void NfDoorKeeper::repair(const std::set<Anchor>& lost, const std::set<DoorHandle>& holes) {
  NetlinkBatch batch;
  for (const DoorHandle handle : holes) {
    const Door& door = doors_.at(handle);
    if (!lost.contains(door.anchor)) put_pinhole(batch, door.anchor, door.pinhole);
  }
  const auto results = conntrack_.socket().exchange(batch);
  counters_.pinholes_repaired += results.done();
  if (!lost.empty()) remake(lost);
}

void NfDoorKeeper::put_all(NetlinkBatch& batch, const Anchor& anchor) const {
  put_anchor(batch, anchor, options_.lease);
  for (const DoorHandle handle : anchors_.at(anchor).doors)
    if (handle != 0) put_pinhole(batch, anchor, doors_.at(handle).pinhole);
}

// EEXIST: it is back already. What the kernel refuses now is asked for again by the next tick.
void NfDoorKeeper::remake(const std::set<Anchor>& lost) {
  NetlinkBatch batch;
  std::vector<Anchor> of;
  for (const Anchor& anchor : lost) {
    put_all(batch, anchor);
    of.resize(batch.count(), anchor);
  }
  const auto results = conntrack_.socket().exchange(batch);
  std::set<Anchor> failed;
  for (std::size_t i = 0; i < results.size(); ++i)
    if (results[i] && results[i] != errno_code(EEXIST)) failed.insert(of[i]);
  for (const Anchor& anchor : failed) {
    anchors_[anchor].refresh_at = now_;
    refresh_order_.emplace_front(now_, anchor);
  }
  counters_.anchors_repaired += lost.size() - failed.size();
}

// Events were lost: compare what should be with what is.
void NfDoorKeeper::resync() {
  ++counters_.resyncs;
  std::set<Anchor> present;
  for (const Family family : families)
    static_cast<void>(conntrack_.dump_flows({family, Protocol::udp, {}, anchor_destination(family).address, {}, 0, 0},
                                            [&](const ConntrackEntry& e) {
                                              if (const auto anchor = anchor_of(e.original, e.zone))
                                                present.insert(*anchor);
                                            }));
  std::set<DoorHandle> standing;
  static_cast<void>(conntrack_.dump_expectations([&](const Expectation& e) { standing.insert(find_door(e)); }));
  std::set<Anchor> lost;
  std::set<DoorHandle> holes;
  for (const auto& [anchor, held] : anchors_)
    if (!present.contains(anchor)) lost.insert(anchor);
  for (const auto& [handle, door] : doors_)
    if (!standing.contains(handle)) holes.insert(handle);
  repair(lost, holes);
}

// --- start ---

void NfDoorKeeper::remove_leftovers() {
  NetlinkBatch batch;
  for (const Family family : families)
    static_cast<void>(conntrack_.dump_flows({family, Protocol::udp, {}, anchor_destination(family).address, {}, 0, 0},
                                            [&](const ConntrackEntry& e) {
                                              if (const auto anchor = anchor_of(e.original, e.zone))
                                                put_anchor_delete(batch, *anchor);
                                            }));
  counters_.leftovers = batch.count();
  conntrack_.socket().exchange(batch);
}

// Global, and writable in the initial namespace alone.
void NfDoorKeeper::raise_limit() {
  uint32_t limit = 0;
  advice_.clear();
  if (!(std::ifstream(expect_max) >> limit) || limit >= options_.expectations) return;
  if (std::ofstream file(expect_max); file << options_.expectations << std::flush) return;
  advice_ = "net.netfilter.nf_conntrack_expect_max is " + std::to_string(limit) + "; set it to " +
            std::to_string(options_.expectations) + ", or calls beyond that find no doors";
}

// One anchor made and deleted: says at start whether doors can be made at all.
void NfDoorKeeper::check() {
  const Anchor anchor = new_anchor(Family::v4, 0);
  NetlinkBatch batch;
  put_anchor(batch, anchor, options_.lease);
  put_anchor_delete(batch, anchor);
  if (const auto error = first_error(conntrack_.socket().exchange(batch)))
    throw std::system_error(error, "conntrack anchor with helper \"sip\" (is nf_conntrack_sip loaded?)");
}

} // namespace sipalg
