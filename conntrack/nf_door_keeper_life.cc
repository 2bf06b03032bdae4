// SPDX-License-Identifier: GPL-2.0-or-later
// Doors in the kernel: leases, repair, and what an earlier process left behind.
#include <algorithm>
#include <fstream>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <utility>

#include "conntrack/nf_door_keeper.h"

namespace sipalg {
namespace {

// Refreshes of one tick: so many anchors at a time until so long has passed. Where the kernel is slow (its table of
// expectations has 1024 chains if nobody asked for more) that is one slice; then the next follows sooner when it is late.
constexpr std::size_t slice = 16;
constexpr std::chrono::microseconds slices_time{200};
constexpr std::chrono::milliseconds slice_pause{4}, late_slice_pause{2};
constexpr std::chrono::seconds late{20};
constexpr std::chrono::milliseconds sweep_slice_pause{2}, retry_pause{1000};
constexpr std::chrono::milliseconds shortest_compare_pause{5000};
constexpr int compare_share = 20;
constexpr std::size_t retried_at_once = 64;
constexpr const char* expect_max = "/proc/sys/net/netfilter/nf_conntrack_expect_max";
constexpr std::array<Family, 2> families{Family::v4, Family::v6};

} // namespace

// --- leases ---

// All anchors have the same interval, so they are put at the end of the list.
void NfDoorKeeper::schedule(uint32_t anchor, Instant at) {
  Held& held = anchors_[anchor];
  held.refresh_at = at;
  held.sooner = std::exchange(last_due_, anchor);
  held.later = no_place;
  (held.sooner == no_place ? first_due_ : anchors_[held.sooner].later) = anchor;
}

void NfDoorKeeper::unschedule(uint32_t anchor) {
  const Held& held = anchors_[anchor];
  (held.sooner == no_place ? first_due_ : anchors_[held.sooner].later) = held.later;
  (held.later == no_place ? last_due_ : anchors_[held.later].sooner) = held.sooner;
}

Instant NfDoorKeeper::next_tick() const {
  Instant next = Instant::max();
  if (first_due_ != no_place) {
    const Instant due = anchors_[first_due_].refresh_at;
    next = std::max(due, refreshed_ + (refreshed_ - due > late ? late_slice_pause : slice_pause));
  }
  if (!failed_.empty()) next = std::min(next, retried_ + retry_pause);
  if (is_unsure_) next = std::min(next, std::max(now_, compare_at_));
  if (flows_.is_busy()) return std::min(next, now_ + (flows_.is_waiting() ? slice_pause : sweep_slice_pause));
  if (flows_.has_work()) next = std::min(next, swept_ + flows_.pause());
  return next;
}

void NfDoorKeeper::tick(Instant now) {
  now_ = now;
  refresh_due();
  retry_failed();
  retry_unclosed();
  compare_if_unsure();
  counters_.flows_deleted += flows_.go_on();
  if (flows_.is_busy() || !flows_.has_work() || now < swept_ + flows_.pause()) return;
  swept_ = now;
  flush(); // what is swept has no door any more
  flows_.begin_sweep();
  if (!options_.has_thread) counters_.flows_deleted += flows_.finish();
}

void NfDoorKeeper::refresh_due() {
  const auto start = std::chrono::steady_clock::now();
  do {
    std::vector<uint32_t> due;
    for (uint32_t anchor = first_due_; anchor != no_place && due.size() < slice; anchor = anchors_[anchor].later) {
      if (anchors_[anchor].refresh_at > now_) break;
      due.push_back(anchor);
    }
    if (due.empty()) return;
    refreshed_ = now_;
    refresh(due);
  } while (std::chrono::steady_clock::now() - start < slices_time);
}

void NfDoorKeeper::refresh(const std::vector<uint32_t>& anchors) {
  batch_.clear();
  std::vector<uint32_t> of; // which anchor a message is about
  for (const uint32_t place : anchors) {
    const Anchor anchor = anchor_at(place);
    put_anchor_touch(batch_, anchor, options_.lease);
    for (const uint32_t door : anchors_[place].doors)
      if (door != no_place) put_pinhole_refresh(batch_, anchor, doors_.pinhole(door), options_.lease);
    of.resize(batch_.count(), place);
    unschedule(place);
    schedule(place, now_ + options_.refresh);
  }
  const auto results = conntrack_.socket().exchange(batch_);
  std::set<uint32_t> lost;
  for (const auto& failure : results.failures())
    if (failure.error == ENOENT) lost.insert(of[failure.index]);
  if (!lost.empty()) remake(lost);
}

// --- repair ---

// Somebody deleted something of ours. Both kinds of message begin with the anchor's tuple, the filter lets only those
// in.
void NfDoorKeeper::on_events() {
  std::set<uint32_t> lost, holes;
  for (;;) {
    const auto result = events_.receive([&](const nlmsghdr& m) { on_event(m, lost, holes); });
    if (result) break;
    if (result.error() != errno_code(ENOBUFS)) return;
    resync();
  }
  repair(lost, holes);
}

// Our own deletions of anchors are filtered away; those of their pinholes come as the kernel's, when the anchor is gone.
bool NfDoorKeeper::is_about_ours(const nlmsghdr& event) const {
  const auto number = find_anchor_number(event);
  return number && anchors_.contains(*number % anchor_places) && anchors_[*number % anchor_places].number == *number;
}

void NfDoorKeeper::on_event(const nlmsghdr& message, std::set<uint32_t>& lost, std::set<uint32_t>& holes) {
  if (!is_about_ours(message)) return;
  if (message.nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)) {
    const auto entry = parse_conntrack(message);
    const auto anchor = entry ? anchor_of(entry->original, entry->zone) : std::nullopt;
    if (const auto place = anchor ? find_anchor(*anchor) : std::nullopt) lost.insert(*place);
  } else if (message.nlmsg_type == (NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_DELETE)) {
    const auto expectation = parse_expectation(message);
    if (const uint32_t door = expectation ? find_door(*expectation) : no_place; door != no_place) holes.insert(door);
  }
}

// The door of ours whose pinhole this is.
uint32_t NfDoorKeeper::find_door(const Expectation& expectation) const {
  const auto anchor = anchor_of(expectation.master, expectation.zone);
  const auto found = anchor ? find_anchor(*anchor) : std::nullopt;
  if (!found) return no_place;
  for (const uint32_t door : anchors_[*found].doors) {
    if (door == no_place) continue;
    const Pinhole pinhole = doors_.pinhole(door);
    if (pinhole.protocol == expectation.tuple.protocol && pinhole.destination == expectation.tuple.destination &&
        pinhole.source == expectation.from)
      return door;
  }
  return no_place;
}

void NfDoorKeeper::repair(const std::set<uint32_t>& lost, const std::set<uint32_t>& holes) {
  NetlinkBatch batch;
  for (const uint32_t door : holes)
    if (!lost.contains(doors_[door].anchor)) put_pinhole(batch, anchor_at(doors_[door].anchor), doors_.pinhole(door));
  counters_.pinholes_repaired += conntrack_.socket().exchange(batch).done();
  if (!lost.empty()) remake(lost);
}

void NfDoorKeeper::put_all(NetlinkBatch& batch, uint32_t anchor) const {
  put_anchor(batch, anchor_at(anchor), options_.lease);
  for (const uint32_t door : anchors_[anchor].doors)
    if (door != no_place) put_pinhole(batch, anchor_at(anchor), doors_.pinhole(door));
}

// Some of those that the kernel refused, in turn, once a second: beside the refreshes, which they must not hold up.
void NfDoorKeeper::retry_failed() {
  if (failed_.empty() || now_ < retried_ + retry_pause) return;
  retried_ = now_;
  std::set<uint32_t> some;
  for (std::size_t i = 0; i < retried_at_once && !failed_.empty(); ++i) {
    auto place = failed_.lower_bound(next_retry_);
    if (place == failed_.end()) place = failed_.begin();
    next_retry_ = *place + 1;
    if (anchors_.contains(*place)) some.insert(*place);
    failed_.erase(place);
  }
  if (!some.empty()) remake(some);
}

// EEXIST: it is back already. What the kernel refuses now is asked for again by a later tick.
void NfDoorKeeper::remake(const std::set<uint32_t>& lost) {
  NetlinkBatch batch;
  std::vector<uint32_t> of;
  for (const uint32_t anchor : lost) {
    put_all(batch, anchor);
    of.resize(batch.count(), anchor);
  }
  const auto results = conntrack_.socket().exchange(batch);
  std::set<uint32_t> failed;
  for (const auto& failure : results.failures())
    if (failure.error != EEXIST) failed.insert(of[failure.index]);
  failed_.insert(failed.begin(), failed.end());
  counters_.anchors_repaired += lost.size() - failed.size();
}

// Looking through all of them takes a small share of the time, however often others let theirs go while we close ours.
void NfDoorKeeper::compare_if_unsure() {
  if (!is_unsure_ || now_ < compare_at_) return;
  is_unsure_ = false;
  const auto start = std::chrono::steady_clock::now();
  resync();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  compare_at_ = now_ + std::max(shortest_compare_pause, took * compare_share);
}

// Events were lost: compare what should be with what is.
void NfDoorKeeper::resync() {
  ++counters_.resyncs;
  std::set<uint32_t> present, standing, lost, holes;
  for (const Family family : families)
    static_cast<void>(conntrack_.dump_flows({family, Protocol::udp, {}, anchor_destination(family).address, {}, 0, 0},
                                            [&](const ConntrackEntry& e) {
                                              const auto anchor = anchor_of(e.original, e.zone);
                                              if (const auto place = anchor ? find_anchor(*anchor) : std::nullopt) present.insert(*place);
                                            }));
  static_cast<void>(conntrack_.dump_expectations([&](const Expectation& e) { standing.insert(find_door(e)); }));
  anchors_.for_each([&](uint32_t anchor) {
    if (failed_.contains(anchor)) return;  // some of them at a time: retry_failed()
    if (!present.contains(anchor)) lost.insert(anchor);
    for (const uint32_t door : anchors_[anchor].doors)
      if (door != no_place && !standing.contains(door)) holes.insert(door);
  });
  repair(lost, holes);
}

// --- start ---

// No anchor here is a living daemon's: the steering has refused to be the second of the namespace.
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
  const uint32_t place = new_anchor(Family::v4, 0);
  NetlinkBatch batch;
  put_anchor(batch, anchor_at(place), options_.lease);
  put_anchor_delete(batch, anchor_at(place));
  drop_anchor(place);
  if (const auto error = first_error(conntrack_.socket().exchange(batch)))
    throw std::system_error(error, "conntrack anchor with helper \"sip\" (is nf_conntrack_sip loaded?)");
}

} // namespace sipalg
