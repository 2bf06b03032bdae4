// SPDX-License-Identifier: GPL-2.0-or-later
// Every registration there is, shared by the workers: found by its key, its inside endpoint, its AOR.
//
// How it works
//   A registration belongs to the part that has its inside host, whoever registered it there; a part's lock is held for one
//   step, and doors are released under it (the order of locks: registrations, then doors).
//   Each has one deadline and one entry in the part's wheel, as in the call database.
//   Bounds: limits.h, of each part; a full one refuses the new.
//   Proved by test/engine.
#pragma once
#include <span>
#include <unordered_map>

#include "alg/base/sharded.h"
#include "alg/calls/records.h"
#include "alg/calls/timer_wheel.h"

namespace sipalg {

class RegistrationTable {
 public:
  RegistrationTable(Doors& doors, EventCounts& stats) : doors_(doors), stats_(stats) {}
  void add(Registration registration, Instant now);
  void end(RegistrationId id, Instant now, bool by_message);
  RegistrationId find(std::string_view aor, std::string_view user, const Endpoint& inside, const Address& registrar) const;
  std::vector<RegistrationId> of(std::string_view aor, const Address& inside_host, const Address& registrar) const;
  std::vector<const Registration*> at(const Endpoint& inside) const;
  void tick(Instant now, std::size_t most);
  Instant next_timer() const { return timers_.next(); }
  std::size_t clear(Instant now);
  std::size_t size() const { return registrations_.size(); }
  bool needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const;
  template <typename F> void for_each(F&& f) const { registrations_.for_each(f); }

 private:
  void schedule(RegistrationId id, Registration& registration);
  Doors& doors_;
  EventCounts& stats_;
  Slab<Registration> registrations_;
  std::unordered_map<std::string, RegistrationId> by_key_;
  std::unordered_multimap<Endpoint, RegistrationId> by_contact_;
  std::unordered_multimap<std::string, RegistrationId> by_aor_;
  TimerWheel timers_;
};

class Registrations {
 public:
  Registrations(Doors& doors, uint32_t parts) : doors_(doors), tables_(parts, [&](uint32_t) { return Part(doors); }) {}

  // Takes over the doors; an older registration of the same key lets go of its own.
  void add(Registration registration, Instant now);
  void end(std::string_view aor, std::string_view user, const Endpoint& inside, const Address& registrar, Instant now);
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

 private:
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
