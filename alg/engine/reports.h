// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's state as plain values for `show`.
#pragma once
#include <map>

#include "alg/engine/rooms.h"

namespace sipalg {

// When each door's last owner lets go; a door of a call that lives has no such time.
class DoorEnds {
 public:
  void note(const EngineRooms& rooms);
  void note(const Registrations& registrations);
  MaybeInstant of(DoorId door) const;

 private:
  void note(DoorId door, MaybeInstant when);
  std::map<DoorId, MaybeInstant> ends_;
};

report::Door report_door(const Doors& doors, DoorId id);
void report_calls(const EngineRooms& rooms, Instant now, std::vector<report::Call>& out);
std::vector<report::Door> report_doors(const Doors& doors, const DoorEnds& ends, Instant now);
std::vector<report::Registration> report_registrations(const Registrations& registrations, Instant now);

}  // namespace sipalg
