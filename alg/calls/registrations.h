// SPDX-License-Identifier: GPL-2.0-or-later
// Every registration there is, shared by the workers: found by its key, its inside endpoint, its AOR.
//
// How it works
//   A registration belongs to the part that has its inside host, whoever registered it there; a part's lock is held for one
//   step, and doors are released under it (the order of locks: registrations, then doors).
//   Each has one deadline and one entry in the part's wheel, as in the call database.
//   Bounds: limits.h, of each part; a full one refuses the new.
//   What outlives the process: once note_changes() was called, each part notes which registrations changed and which ended. The
//   daemon takes that from time to time, as bytes, and a later one gives the bytes back. (alg/daemon/kept_registrations.h)
//   Proved by test/engine.
#pragma once
#include <functional>
#include <span>
#include <unordered_map>

#include "alg/base/saved_bytes.h"
#include "alg/base/sharded.h"
#include "alg/calls/records.h"
#include "alg/calls/saved_registration.h"
#include "alg/calls/timer_wheel.h"

namespace sipalg {

using IsOwn = std::function<bool(const Address&)>;  // is it one of the router's?

class RegistrationTable {
 public:
  RegistrationTable(Doors& doors, EventCounts& stats) : doors_(doors), stats_(stats) {}
  void add(Registration registration, Instant now);
  void end(RegistrationId id, Instant now, bool by_message);
  RegistrationId find(std::string_view aor, std::string_view user, sip::Transport transport, const Endpoint& inside, const Address& registrar) const;
  std::vector<RegistrationId> of(std::string_view aor, const Address& inside_host, const Address& registrar) const;
  std::vector<const Registration*> at(const Endpoint& inside) const;
  void tick(Instant now, std::size_t most);
  Instant next_timer() const { return timers_.next(); }
  std::size_t clear(Instant now);
  std::size_t size() const { return registrations_.size(); }
  bool needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const;
  void note_changes(bool is_wanted);
  void take_changes(std::size_t most, const IsOwn& is_own, std::vector<SavedChange>& out);
  template <typename F> void for_each(F&& f) const { registrations_.for_each(f); }

 private:
  void note(RegistrationId id, Registration& registration);
  void schedule(RegistrationId id, Registration& registration);
  Doors& doors_;
  EventCounts& stats_;
  Slab<Registration> registrations_;
  std::unordered_map<std::string, RegistrationId> by_key_;
  std::unordered_multimap<Endpoint, RegistrationId> by_contact_;
  std::unordered_multimap<std::string, RegistrationId> by_aor_;
  TimerWheel timers_;
  bool notes_ = false;
  std::vector<RegistrationId> changed_;
  std::vector<std::string> ended_;  // keys
};

class Registrations {
 public:
  Registrations(Doors& doors, uint32_t parts) : doors_(doors), tables_(parts, [&](uint32_t) { return Part(doors); }) {}

  // Takes over the doors; an older registration of the same key lets go of its own.
  void add(Registration registration, Instant now);
  void end(std::string_view aor, std::string_view user, sip::Transport transport, const Endpoint& inside, const Address& registrar, Instant now);
  void end_all(std::string_view aor, const Address& inside_host, const Address& registrar, Instant now);
  // One of this AOR at this registrar, for one of these inside hosts.
  bool has(std::string_view aor, const Address& registrar, std::span<const Address> inside_hosts) const;
  // `f` gets those of this inside endpoint, under their lock.
  template <typename F> auto with_those_at(const Endpoint& inside, F&& f) const {
    doors_.let_go();
    return tables_.at(shard_of(inside.address, tables_.size()), [&](const Part& part) { return f(part.table.at(inside)); });
  }

  void tick(uint32_t part, Instant now, std::size_t most);
  Instant next_timer(uint32_t part) const;
  std::size_t clear(Instant now);
  std::size_t size() const;
  bool needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const;
  template <typename F> void for_each(F&& f) const {
    tables_.for_each([&](const Part& part) { part.table.for_each(f); });
  }
  void add_stats(Stats& sum) const;
  void clear_stats();

  // False: what is noted is forgotten, too.
  void note_changes(bool is_wanted);
  // All that ended, and of each part `most` of those that changed; the rest waits. In the order in which they are to be kept.
  std::vector<SavedChange> take_changes(std::size_t most, const IsOwn& is_own);
  // Doors that others have now stay closed. False: it is not to be kept any longer: it is over, damaged, all its doors are taken, or the
  // router has lost its address.
  bool restore(std::string_view bytes, const IsOwn& is_own, Instant now);

 private:
  FewNumbers claim_again(const SavedRegistration& kept, Instant now);
  struct Part {
    explicit Part(Doors& doors) : table(doors, counts) {}
    EventCounts counts;
    RegistrationTable table;
  };
  template <typename F> auto with_host(const Address& inside_host, F&& f) {
    doors_.let_go();
    return tables_.at(shard_of(inside_host, tables_.size()), [&](Part& part) { return f(part.table); });
  }
  Doors& doors_;
  Sharded<Part> tables_;
};

}  // namespace sipalg
