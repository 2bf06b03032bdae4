// SPDX-License-Identifier: GPL-2.0-or-later
// See registrations.h.
#include "alg/calls/registrations.h"

#include <algorithm>
#include <utility>

#include "alg/base/erase_one.h"

namespace sipalg {
namespace {

std::string key_of(std::string_view aor, std::string_view user, sip::Transport transport, const Endpoint& inside, const Address& registrar) {
  return std::string(aor) + '\n' + std::string(user) + '\n' + std::to_string(static_cast<int>(transport)) + '\n' + to_string(inside) + '\n' + to_string(registrar);
}
std::string key_of(const Registration& r) { return key_of(r.aor, r.user, r.transport, r.inside, r.registrar); }

}  // namespace

// --- one part ---

void RegistrationTable::schedule(RegistrationId id, Registration& registration) {
  registration.scheduled = registration.ends;
  timers_.add({registration.ends, id, 0});
}

void RegistrationTable::add(Registration registration, Instant now) {
  const std::string key = key_of(registration);
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    Registration& known = *registrations_.find(it->second);
    registration.scheduled = known.scheduled;
    registration.is_noted = known.is_noted;
    std::swap(known, registration);
    note(it->second, known);
    doors_.release_all(registration.doors, now);
    if (known.ends < known.scheduled) schedule(it->second, known);  // else its entry comes earlier and looks again
    return;
  }
  if (registrations_.size() >= limits::registrations) return doors_.release_all(registration.doors, now);
  const RegistrationId id = registrations_.insert(std::move(registration));
  Registration& added = *registrations_.find(id);
  by_key_[key] = id;
  by_contact_.emplace(added.inside, id);
  by_aor_.emplace(added.aor, id);
  schedule(id, added);
  note(id, added);
  stats_.count(Event::registrations_begun);
}

void RegistrationTable::note(RegistrationId id, Registration& registration) {
  if (notes_ && !std::exchange(registration.is_noted, true)) changed_.push_back(id);
}

void RegistrationTable::note_changes(bool is_wanted) {
  notes_ = is_wanted;
  if (is_wanted) return;
  for (const RegistrationId id : changed_)
    if (Registration* r = registrations_.find(id)) r->is_noted = false;
  changed_.clear(), ended_.clear();
}

void RegistrationTable::take_changes(std::size_t most, const IsOwn& is_own, std::vector<SavedChange>& out) {
  for (std::string& key : ended_) out.push_back({std::move(key), {}});
  ended_.clear();
  for (; most > 0 && !changed_.empty(); changed_.pop_back()) {
    Registration* r = registrations_.find(changed_.back());
    if (!r) continue;
    r->is_noted = false;
    out.push_back({key_of(*r), saved(*r, is_own(r->outside.address), doors_)});
    --most;
  }
}

RegistrationId RegistrationTable::find(std::string_view aor, std::string_view user, sip::Transport transport, const Endpoint& inside,
                                       const Address& registrar) const {
  const auto it = by_key_.find(key_of(aor, user, transport, inside, registrar));
  return it == by_key_.end() ? 0 : it->second;
}

void RegistrationTable::end(RegistrationId id, Instant now, bool by_message) {
  Registration* r = registrations_.find(id);
  if (!r) return;
  doors_.release_all(r->doors, now);
  std::string key = key_of(*r);
  by_key_.erase(key);
  if (notes_) ended_.push_back(std::move(key));
  erase_one(by_contact_, r->inside, id);
  erase_one(by_aor_, r->aor, id);
  registrations_.erase(id);
  stats_.count(by_message ? Event::registrations_ended_by_message : Event::registrations_ended_by_time);
}

std::vector<RegistrationId> RegistrationTable::of(std::string_view aor, const Address& inside_host, const Address& registrar) const {
  std::vector<RegistrationId> out;
  const auto [first, last] = by_aor_.equal_range(std::string(aor));
  for (auto it = first; it != last; ++it) {
    const Registration& r = *registrations_.find(it->second);
    if (r.registrar == registrar && r.inside.address == inside_host) out.push_back(it->second);
  }
  return out;
}

std::vector<const Registration*> RegistrationTable::at(const Endpoint& inside) const {
  std::vector<const Registration*> out;
  const auto [first, last] = by_contact_.equal_range(inside);
  for (auto it = first; it != last; ++it) out.push_back(registrations_.find(it->second));
  return out;
}

void RegistrationTable::tick(Instant now, std::size_t most) {
  TimerWheel::Deadline deadline;
  for (; most > 0 && timers_.take_due(now, deadline); --most) {
    Registration* r = registrations_.find(deadline.id);
    if (!r || r->scheduled > now) continue;  // gone, or an entry that another overtook
    r->ends <= now ? end(deadline.id, now, false) : schedule(deadline.id, *r);
  }
}

std::size_t RegistrationTable::clear(Instant now) {
  const auto ids = registrations_.ids();
  for (RegistrationId id : ids) end(id, now, true);
  timers_.clear();
  return ids.size();
}

bool RegistrationTable::needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const {
  return registrations_.any_of([&](const Registration& r) { return r.protocol == protocol && needed(ports_of(r), port, in_service); });
}

// --- all of them ---

void Registrations::add(Registration registration, Instant now) {
  const Address host = registration.inside.address;
  with_host(host, [&](RegistrationTable& table) { table.add(std::move(registration), now); });
}

void Registrations::end(std::string_view aor, std::string_view user, sip::Transport transport, const Endpoint& inside, const Address& registrar,
                        Instant now) {
  with_host(inside.address, [&](RegistrationTable& table) { table.end(table.find(aor, user, transport, inside, registrar), now, true); });
}

void Registrations::end_all(std::string_view aor, const Address& inside_host, const Address& registrar, Instant now) {
  with_host(inside_host, [&](RegistrationTable& table) {
    for (RegistrationId id : table.of(aor, inside_host, registrar)) table.end(id, now, true);
  });
}

bool Registrations::has(std::string_view aor, const Address& registrar, std::span<const Address> inside_hosts) const {
  doors_.let_go();
  const auto is_there = [&](const Address& host) {
    return tables_.at(shard_of(host, tables_.size()), [&](const Part& part) { return !part.table.of(aor, host, registrar).empty(); });
  };
  return std::any_of(inside_hosts.begin(), inside_hosts.end(), is_there);
}

void Registrations::tick(uint32_t part, Instant now, std::size_t most) {
  tables_.at(part, [&](Part& mine) { mine.table.tick(now, most); });
}

Instant Registrations::next_timer(uint32_t part) const {
  return tables_.at(part, [](const Part& mine) { return mine.table.next_timer(); });
}

std::size_t Registrations::clear(Instant now) {
  std::size_t cleared = 0;
  tables_.for_each([&](Part& part) { cleared += part.table.clear(now); });
  return cleared;
}

std::size_t Registrations::size() const {
  std::size_t sum = 0;
  tables_.for_each([&](const Part& part) { sum += part.table.size(); });
  return sum;
}

bool Registrations::needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const {
  bool needs = false;
  tables_.for_each([&](const Part& part) { needs = needs || part.table.needs_port(protocol, port, in_service); });
  return needs;
}

void Registrations::note_changes(bool is_wanted) {
  tables_.for_each([=](Part& part) { part.table.note_changes(is_wanted); });
}

std::vector<SavedChange> Registrations::take_changes(std::size_t most, const IsOwn& is_own) {
  std::vector<SavedChange> out;
  doors_.let_go();
  tables_.for_each([&](Part& part) { part.table.take_changes(most, is_own, out); });
  return out;
}

bool Registrations::restore(std::string_view bytes, const IsOwn& is_own, Instant now) {
  std::optional<SavedRegistration> kept = read_saved(bytes);
  if (!kept || kept->registration.ends <= now || (kept->was_own && !is_own(kept->registration.outside.address))) return false;
  kept->registration.doors = claim_again(*kept, now);
  if (kept->registration.doors.empty()) return false;
  add(std::move(kept->registration), now);
  return true;
}

// What the kernel refuses stays reserved, as when a registration begins (Exchange::heard_register_response).
FewNumbers Registrations::claim_again(const SavedRegistration& kept, Instant now) {
  FewNumbers claimed;
  std::vector<DoorId> opened;
  for (const SavedDoor& door : kept.doors) {
    DoorTable::SignallingWish wish;
    wish.protocol = door.protocol;
    wish.inside = door.inside;
    wish.outside_address = door.outside.address;
    wish.scope = door.scope;
    wish.purpose = door.purpose;
    wish.zone = door.zone;
    wish.exactly = door.outside.port;
    const auto id = doors_.claim_signalling(wish, now);
    if (!id) continue;
    doors_.note_contact(*id, {door.contact_text, door.contact_user});
    (void)doors_.open({&*id, 1}, opened);
    claimed.push_back(*id);
  }
  return claimed;
}

void Registrations::add_stats(Stats& sum) const {
  tables_.for_each([&](const Part& part) { sum.add(part.counts); });
}

void Registrations::clear_stats() {
  tables_.for_each([](Part& part) { part.counts = {}; });
}

}  // namespace sipalg
