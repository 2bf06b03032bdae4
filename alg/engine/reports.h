// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's state as plain values for `show`.
#pragma once
#include "alg/engine/rooms.h"

namespace sipalg {

report::Door report_door(const EngineRooms& rooms, DoorId id);
std::vector<report::Call> report_calls(const EngineRooms& rooms, Instant now);
std::vector<report::Door> report_doors(const EngineRooms& rooms, Instant now);
std::vector<report::Registration> report_registrations(const EngineRooms& rooms, Instant now);

}  // namespace sipalg
