// SPDX-License-Identifier: GPL-2.0-or-later
// The second table: resized TCP connections.
#include "conntrack/stream_guard.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <vector>

#include "conntrack/ruleset.h"

namespace sipalg {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t tcp_flags_offset = 13;  // RFC 9293 section 3.1
constexpr int guard_priority = ruleset::hook_priority - 1, lost_priority = -1;

std::string held_set(Family family) { return "held" + ruleset::digit(family); }
Family family_of(const Tuple& tuple) { return tuple.destination.address.family(); }

nft::Rule of_family(const std::string& table, const std::string& chain, Family family) {
  nft::Rule rule(table, chain);
  rule.meta(NFT_META_NFPROTO, 0)
      .equals_byte(0, family == Family::v6 ? NFPROTO_IPV6 : NFPROTO_IPV4)
      .meta(NFT_META_L4PROTO, 0)
      .equals_byte(0, static_cast<uint8_t>(Protocol::tcp));
  return rule;
}

// An element may be gone, its time over, and one that is gone can not be deleted: so it is added first.
void put_gone(NetlinkBatch& batch, const std::string& table, const std::string& set, std::span<const nft::Element> elements) {
  nft::put_elements(batch, table, set, elements);
  nft::put_elements_delete(batch, table, set, elements);
}

} // namespace

StreamGuard::StreamGuard(Steering& steering) : steering_(steering), table_(steering.options().table + "_streams") {}

// May be there already, from a daemon that died: rules are written anew, sets stay. Nothing is tried here: a transaction
// that fails takes its base chains back, and with them every queued packet of the namespace.
void StreamGuard::put_table(NetlinkBatch& batch) const {
  const bool native_queue = steering_.way() == Steering::Way::native;
  nft::put_lasting_table(batch, table_, is_owned_ ? nft::Lasting::owned : nft::Lasting::anybodys);
  const nft::Hook guard{NF_INET_POST_ROUTING, guard_priority, "filter"}, lost{NF_INET_FORWARD, lost_priority, "filter"};
  nft::put_chain(batch, table_, "guard", &guard);
  nft::put_chain(batch, table_, "lost", &lost);
  for (const char* chain : {"guard", "lost"}) nft::put_rules_delete(batch, table_, chain);
  uint32_t id = 1;
  const uint16_t queue = ruleset::queue_of(steering_.options(), Protocol::tcp);
  for (const Family family : ruleset::families) {
    const std::string held = held_set(family), resized = ruleset::resized_set(family);
    for (const std::string& set : {held, resized})
      nft::put_set(batch, table_, {set, id++, NFT_SET_TIMEOUT | NFT_SET_EVAL, ruleset::connection_type(family), ruleset::connection_length(family)});
    nft::Rule queued = of_family(table_, "guard", family), living = of_family(table_, "lost", family),
              reset = of_family(table_, "lost", family);
    ruleset::load_connection(queued, family).in_set(0, held).queue(queue, native_queue, nft::Rule::Unread::is_dropped).put(batch);
    ruleset::load_connection(living, family).in_set(0, held).verdict(static_cast<uint32_t>(NFT_RETURN)).put(batch);
    // a SYN alone: the ends begin anew, with the same ports
    nft::Rule anew = of_family(table_, "lost", family);
    anew.transport(tcp_flags_offset, 1, 0).mask_byte(0, TH_SYN | TH_ACK | TH_RST | TH_FIN).equals_byte(0, TH_SYN);
    ruleset::load_connection(anew, family).dynset(NFT_DYNSET_OP_DELETE, 0, std::nullopt, resized, 0).put(batch);
    ruleset::load_connection(reset, family).in_set(0, resized).reset().put(batch);
  }
}

// Whether the kernel knows owned tables that persist, and takes over one that was left, is asked without chains: see above.
Steering::Result StreamGuard::make_table() {
  NetlinkBatch table;
  nft::begin_batch(table);
  nft::put_lasting_table(table, table_, nft::Lasting::owned);
  is_owned_ = steering_.commit(table).has_value();
  NetlinkBatch batch;
  nft::begin_batch(batch);
  put_table(batch);
  const auto result = steering_.commit(batch);
  has_table_ = result.has_value();
  return result;
}

// `anew`: the time of what is there begins again; before 6.12 that takes delete and add.
void StreamGuard::put(NetlinkBatch& batch, std::span<const Tuple> originals, bool anew) const {
  for (const Family family : ruleset::families) {
    std::vector<nft::Element> elements;
    for (const Tuple& original : originals)
      if (family_of(original) == family) elements.push_back({ruleset::connection_key(original), {}, false, {}});
    if (elements.empty()) continue;
    nft::put_elements(batch, steering_.options().table, ruleset::resized_set(family), elements);
    for (const auto& [set, time] : {std::pair<std::string, std::chrono::seconds>{held_set(family), lease}, {ruleset::resized_set(family), remembered}}) {
      for (nft::Element& element : elements) element.timeout = time;
      if (anew) put_gone(batch, table_, set, elements);
      nft::put_elements(batch, table_, set, elements);
    }
  }
}

Steering::Result StreamGuard::take_out(std::span<const Tuple> originals, bool is_lost) {
  NetlinkBatch batch;
  nft::begin_batch(batch);
  bool is_any = false;
  for (const Tuple& original : originals) {
    if (guarded_.erase(original) == 0) continue;
    is_any = true;
    const Family family = family_of(original);
    const nft::Element element{ruleset::connection_key(original), {}, false, {}};
    put_gone(batch, table_, held_set(family), {&element, 1});
    if (!is_lost) put_gone(batch, table_, ruleset::resized_set(family), {&element, 1});
    put_gone(batch, steering_.options().table, ruleset::resized_set(family), {&element, 1});
  }
  return is_any ? steering_.commit(batch) : Steering::Result{};
}

Steering::Result StreamGuard::add(std::span<const Tuple> originals) {
  const auto is_there = [this](const Tuple& original) { return guarded_.contains(original); };
  if (steering_.way() == Steering::Way::manual || std::ranges::all_of(originals, is_there)) return {};
  if (!has_table_)
    if (const auto made = make_table(); !made) return made;
  NetlinkBatch batch;
  nft::begin_batch(batch);
  put(batch, originals, false);
  const auto result = steering_.commit(batch);
  if (result) guarded_.insert(originals.begin(), originals.end());
  return result;
}

Steering::Result StreamGuard::remove(std::span<const Tuple> originals) { return take_out(originals, false); }
Steering::Result StreamGuard::abandon(std::span<const Tuple> originals) { return take_out(originals, true); }

std::vector<bool> StreamGuard::are_held(std::span<const Tuple> originals) const {
  if (steering_.way() == Steering::Way::manual) return std::vector<bool>(originals.size(), true);
  NetlinkBatch batch;
  for (const Tuple& original : originals) nft::put_element_get(batch, table_, held_set(family_of(original)), ruleset::connection_key(original));
  const auto results = steering_.ask(batch);
  std::vector<bool> held;
  for (std::size_t i = 0; i < results.size(); ++i) held.push_back(!results[i]);
  return held;
}

// An earlier daemon's leases of ours are renewed, those of connections nobody has a map for end now.
Steering::Result StreamGuard::adopt(const std::vector<Tuple>& originals) {
  if (steering_.way() == Steering::Way::manual) return {};
  if (originals.empty() && !is_there()) return {};
  if (const auto made = make_table(); !made) return made;
  NetlinkBatch batch;
  nft::begin_batch(batch);
  for (const Family family : ruleset::families) nft::put_flush(batch, table_, held_set(family));
  put(batch, originals, false);
  const auto result = steering_.commit(batch);
  if (result) guarded_ = {originals.begin(), originals.end()};
  return result;
}

bool StreamGuard::is_there() const {
  NetlinkBatch probe;
  nft::put_table_get(probe, table_);
  return !first_error(steering_.ask(probe));
}

// Somebody has flushed the ruleset; our own table is still there.
Steering::Result StreamGuard::restore_table() {
  if (const auto made = make_table(); !made) return made;
  NetlinkBatch batch;
  nft::begin_batch(batch);
  put(batch, std::vector(guarded_.begin(), guarded_.end()), false);
  return steering_.commit(batch);
}

Steering::Result StreamGuard::renew(Instant now) {
  if (guarded_.empty()) return {};
  if (!is_owned_ && now >= looked_ + look) {
    looked_ = now;
    if (!is_there()) return restore_table();
  }
  // a share of them at each call: all together would not fit a transaction
  const auto size = static_cast<int64_t>(guarded_.size());
  const auto due = std::min<int64_t>(size * ((now - renewed_) / 1ms) / (renewal / 1ms), most_at_once);
  if (due == 0) return {};
  renewed_ = now;
  std::vector<Tuple> originals;
  auto next = guarded_.upper_bound(last_renewed_);
  for (int64_t i = 0; i < std::min(due, size); ++i) {
    if (next == guarded_.end()) next = guarded_.begin();
    originals.push_back(*next++);
  }
  last_renewed_ = originals.back();
  NetlinkBatch batch;
  nft::begin_batch(batch);
  put(batch, originals, true);
  return steering_.commit(batch);
}

void StreamGuard::close() {
  if (!has_table_ || !guarded_.empty()) return;
  NetlinkBatch batch;
  nft::begin_batch(batch);
  nft::put_table_delete(batch, table_);
  static_cast<void>(steering_.commit(batch));
}

} // namespace sipalg
