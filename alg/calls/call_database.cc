// SPDX-License-Identifier: GPL-2.0-or-later
// Finding, beginning and ending records. What ends of a leg with which message is in leg_ends.cc, timers are in timers.cc.
#include "alg/calls/call_database.h"

#include <algorithm>

namespace sipalg {

// --- ownership ---

void CallDatabase::own(FewNumbers& owned, DoorId door, Instant now) {
  if (!owned.contains(door)) {
    owned.push_back(door);
  } else {
    doors_.release(door, now);
  }
}

template <typename F> void CallDatabase::change_path(Leg& leg, F&& change) {
  LegPath path = path_of(leg);
  change(path);
  paths_.release(leg.path);
  leg.path = paths_.hold(path);
}

void CallDatabase::own(Leg& leg, DoorId door, Instant now) {
  const CompactList<DoorId>& owned = path_of(leg).doors;
  if (std::ranges::find(owned, door) != owned.end()) return doors_.release(door, now);
  change_path(leg, [door](LegPath& path) { path.doors.push_back(door); });
}

void CallDatabase::release_all(FewNumbers& owned, Instant now) { doors_.release_all(owned, now); }

void CallDatabase::disown(DoorId door, Transaction* transaction, Leg* leg, Instant now) {
  std::size_t held = 0;
  if (transaction) held += erase(transaction->doors, door);
  if (leg) {
    const std::size_t of_leg = static_cast<std::size_t>(std::ranges::count(path_of(*leg).doors, door));
    if (of_leg > 0) change_path(*leg, [door](LegPath& path) { erase(path.doors, door); });
    held += of_leg;
    held += erase_if(leg->media, [door](const MediaUse& use) { return use.door == door; });
  }
  for (; held > 0; --held) doors_.release(door, now);
}

// --- transactions ---

TransactionId CallDatabase::find_transaction_id(const TransactionKey& key) const {
  return by_key_.find(key.low, [&](const Transaction& t) { return t.key == key; });
}

TransactionId CallDatabase::begin_transaction(const TransactionKey& key, const FlowEnd& source, Instant now) {
  const Address& host = source.inside.address;
  if (transactions_.size() >= limits::transactions || shares_.of(host) >= limits::transactions_per_host) return 0;
  shares_.add(host);
  const auto [id, transaction] = transactions_.add();
  transaction.key = key;
  transaction.source = source;
  transaction.ends = now + limits::transaction_end;
  by_key_.insert(id);
  schedule_transaction(id, transaction, now);
  stats_.count(Event::transactions_begun);
  return id;
}

void CallDatabase::heard_response(TransactionId id, uint16_t status, Instant now) {
  Transaction* t = transactions_.find(id);
  if (!t || (t->is_final() && status < 300)) {
    if (t && t->method == sip::Method::invite) t->ends = std::max(t->ends, now + limits::transaction_end);
    return;  // 2xx may follow 2xx
  }
  if (t->is_final()) return;
  t->last_status = status;
  if (status < 200) {
    // a short Expires does not shorten it: who is called may not look at it, and answers late
    const auto ringing = std::clamp<std::chrono::milliseconds>(std::chrono::seconds{t->expires_header.value_or(0)}, limits::ringing, limits::ringing_longest);
    t->ends = now + (t->method == sip::Method::invite ? ringing : limits::transaction_end);
    return;
  }
  t->ends = now + (t->method == sip::Method::invite ? limits::transaction_end : limits::response_linger);
  note_ended_transaction(id, now);
}

void CallDatabase::prolong_ringing(Leg& leg, Instant now) {
  for (TransactionId id : leg.invites)
    if (Transaction* t = transactions_.find(id)) t->ends = std::max(t->ends, now + limits::ringing);
}

void CallDatabase::erase_transaction(TransactionId id, Instant now) {
  Transaction* t = transactions_.find(id);
  release_all(t->doors, now);
  for (RegistrationWish& wish : t->wishes) release_all(wish.doors, now);
  if (t->is_final()) ended_transactions_.gone();
  shares_.remove(t->source.inside.address);
  by_key_.erase(id);
  transactions_.erase(id);
}

// --- legs ---

CallDatabase::CallKey CallDatabase::call_key(std::string_view call_id, const Address& inside_host) const {
  return hash_text(call_id, sipalg::hash_of(inside_host, salt_));
}

LegId CallDatabase::find_leg(CallKey call, TagId inside_tag, TagId outside_tag) const {
  return by_call_id_.find(call, [&](const Leg& leg) {
    if (leg.call != call || leg.beginner != (leg.outgoing ? inside_tag : outside_tag)) return false;
    leg.dialogs.prefetch();  // what is looked at next
    leg.givens.prefetch();
    const TagId other = leg.outgoing ? outside_tag : inside_tag;
    return !leg.learnt || other == 0 || std::ranges::find(leg.dialogs, other, &Dialog::id) != leg.dialogs.end();
  });
}

LegId CallDatabase::begin_leg(Leg leg, const LegPath& path, Instant now) {
  if (legs_.size() >= limits::dialogs) {
    stats_.count(Event::calls_refused_by_bound);
    return 0;
  }
  leg.call = call_key(leg.texts[Leg::call_id], path.inside_host);
  std::size_t of_call = 0;
  by_call_id_.for_each(leg.call, [&](const Leg& known) { of_call += known.call == leg.call; });
  if (of_call >= limits::legs_per_call) {
    stats_.count(Event::calls_refused_by_bound);
    return 0;
  }
  leg.path = paths_.hold(path);
  leg.begun = leg.last_message = now;
  const LegId id = legs_.insert(std::move(leg));
  by_call_id_.insert(id);
  return id;
}

Dialog* CallDatabase::add_dialog(Leg& leg, std::string_view tag) {
  const TagId id = tag_id(tag);
  if (Dialog* known = leg.find_dialog(id)) return known;
  if (leg.dialogs.size() >= limits::dialogs_per_call) return nullptr;
  leg.texts.reserve(PackedText::size_of(tag));  // no more: it stays as long as the leg
  leg.texts.add(tag);
  Dialog& dialog = leg.dialogs.emplace_back();
  dialog.id = id;
  return &dialog;
}

std::size_t CallDatabase::PathHash::operator()(const LegPath& path) const {
  const std::size_t ports = std::size_t{path.ports.inside} << 32 | std::size_t{path.ports.outside} << 16 | path.ports.remote;
  std::size_t hash = sipalg::hash_of(path.inside_host, ports + path.zone);
  for (const Endpoint& peer : path.peers) hash = sipalg::hash_of(peer.address, hash + peer.port);
  for (DoorId door : path.doors) hash = hash * 31 + door;
  return hash;
}

void CallDatabase::add_peer(Leg& leg, const Endpoint& peer) {
  change_path(leg, [&](LegPath& path) { path.peers.push_back(peer); });
}

void CallDatabase::schedule_leg(LegId id) {
  Leg* leg = legs_.find(id);
  if (!leg) return;
  const Instant deadline = leg_deadline(*leg);
  if (deadline >= leg->scheduled) return;
  leg->scheduled = deadline;
  schedule(deadline, Kind::leg, id);
}

void CallDatabase::erase_leg(LegId id, Instant now) {
  Leg* leg = legs_.find(id);
  for (MediaUse& use : leg->media) doors_.release(use.door, now);
  for (DoorId door : path_of(*leg).doors) doors_.release(door, now);
  paths_.release(leg->path);
  if (leg->is_counted) --counted_calls_;
  if (leg->ends) ended_legs_.gone();
  by_call_id_.erase(id);
  legs_.erase(id);
}

bool CallDatabase::needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const {
  const auto is_path = [=](const LegPath& path) { return path.protocol == protocol && needed(path.ports, port, in_service); };
  return paths_.any_of(is_path) || transactions_.any_of([&](const Transaction& t) {
           return !t.cleared && t.protocol == protocol && needed(ports_of(t), port, in_service);
         });
}

}  // namespace sipalg
