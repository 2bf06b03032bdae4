// SPDX-License-Identifier: GPL-2.0-or-later
// Finding, beginning and ending records. What ends of a leg with which message is in leg_ends.cc, timers are in timers.cc.
#include "alg/calls/call_database.h"

#include <algorithm>

#include "alg/base/erase_one.h"

namespace sipalg {
namespace {

std::string registration_key(std::string_view aor, std::string_view user, const Endpoint& inside, const Address& registrar) {
  return std::string(aor) + '\n' + std::string(user) + '\n' + to_string(inside) + '\n' + to_string(registrar);
}

// Steering asks for the inside's and the remote's port, and for the outside one where the remote began the flow, which
// records do not know.
bool flow_needs(const FlowPorts& flow, uint16_t port, std::span<const uint16_t> in_service) {
  if (flow.inside != port && flow.remote != port && flow.outside != port) return false;
  return !std::ranges::binary_search(in_service, flow.inside) && !std::ranges::binary_search(in_service, flow.remote);
}

template <typename Record> FlowPorts ports_of(const Record& record) {
  return {record.source.inside.port, record.source.outside.port, record.remote.port};
}

}  // namespace

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

void CallDatabase::release_all(FewNumbers& owned, Instant now) {
  for (DoorId door : owned) doors_.release(door, now);
  owned.clear();
}

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

TransactionId CallDatabase::begin_transaction(const TransactionKey& key, Instant now) {
  if (transactions_.size() >= limits::transactions) return 0;
  const auto [id, transaction] = transactions_.add();
  transaction.key = key;
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
    const bool bounded = t->expires_header && *t->expires_header > 0;
    const auto ringing = bounded ? std::min<std::chrono::milliseconds>(std::chrono::seconds{*t->expires_header}, limits::ringing_longest)
                                 : limits::ringing;
    t->ends = now + std::max<std::chrono::milliseconds>(t->method == sip::Method::invite ? ringing : limits::transaction_end,
                                                        limits::transaction_end);
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

// --- registrations ---

RegistrationId CallDatabase::find_registration(std::string_view aor, std::string_view user, const Endpoint& inside,
                                               const Address& registrar) const {
  const auto it = by_registration_.find(registration_key(aor, user, inside, registrar));
  return it == by_registration_.end() ? 0 : it->second;
}

void CallDatabase::register_contact(Registration registration, Instant now) {
  const std::string key = registration_key(registration.aor, registration.user, registration.inside, registration.registrar);
  if (const auto it = by_registration_.find(key); it != by_registration_.end()) {
    Registration& known = *registrations_.find(it->second);
    registration.scheduled = known.scheduled;
    std::swap(known, registration);
    release_all(registration.doors, now);
    if (known.ends >= known.scheduled) return;  // its entry comes earlier and looks again
    known.scheduled = known.ends;
    schedule(known.ends, Kind::registration, it->second);
    return;
  }
  if (registrations_.size() >= limits::registrations) {
    release_all(registration.doors, now);
    return;
  }
  const Endpoint inside = registration.inside;
  const std::string aor = registration.aor;
  const Instant ends = registration.scheduled = registration.ends;
  const RegistrationId id = registrations_.insert(std::move(registration));
  by_registration_[key] = id;
  by_contact_.emplace(inside, id);
  by_aor_.emplace(aor, id);
  schedule(ends, Kind::registration, id);
  stats_.count(Event::registrations_begun);
}

void CallDatabase::end_registration(RegistrationId id, Instant now, bool by_message) {
  Registration* r = registrations_.find(id);
  if (!r) return;
  release_all(r->doors, now);
  by_registration_.erase(registration_key(r->aor, r->user, r->inside, r->registrar));
  erase_one(by_contact_, r->inside, id);
  erase_one(by_aor_, r->aor, id);
  registrations_.erase(id);
  stats_.count(by_message ? Event::registrations_ended_by_message : Event::registrations_ended_by_time);
}

void CallDatabase::end_registrations_of(std::string_view aor, const Address& inside_host, const Address& registrar,
                                        Instant now) {
  for (RegistrationId id : registrations_.ids()) {
    const Registration* r = registrations_.find(id);
    if (r->aor == aor && r->inside.address == inside_host && r->registrar == registrar) end_registration(id, now, true);
  }
}

bool CallDatabase::has_registration(std::string_view aor, const Address& registrar,
                                    std::span<const Address> inside_hosts) const {
  const auto [first, last] = by_aor_.equal_range(std::string(aor));
  return std::any_of(first, last, [&](const auto& entry) {
    const Registration& r = *registrations_.find(entry.second);
    return r.registrar == registrar && std::ranges::find(inside_hosts, r.inside.address) != inside_hosts.end();
  });
}

std::vector<const Registration*> CallDatabase::registrations_at(const Endpoint& inside) const {
  std::vector<const Registration*> out;
  const auto [first, last] = by_contact_.equal_range(inside);
  for (auto it = first; it != last; ++it) out.push_back(registrations_.find(it->second));
  return out;
}

bool CallDatabase::needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const {
  const auto is_one = [=](const auto& record) { return record.protocol == protocol && flow_needs(ports_of(record), port, in_service); };
  const auto is_path = [=](const LegPath& path) { return path.protocol == protocol && flow_needs(path.ports, port, in_service); };
  return paths_.any_of(is_path) || registrations_.any_of(is_one) ||
         transactions_.any_of([&](const Transaction& t) { return !t.cleared && is_one(t); });
}

}  // namespace sipalg
