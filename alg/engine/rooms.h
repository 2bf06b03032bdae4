// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine owns: for each worker the records of some inside hosts, and what all share.
//
// How it works
//   A message belongs to the calls of its inside end's host (shard_of). Rooms are locked for one message; nobody holds two.
//   Within that come the locks of registrations, and within those the ones of doors, one at a time each; last the keeper's.
//   Policy and service are in each of the rooms, so that reading them touches nothing in common.
#pragma once
#include "alg/calls/call_database.h"
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "alg/rewrite/header_map.h"
#include "alg/rewrite/header_restore.h"
#include "alg/rewrite/naming.h"
#include "alg/rewrite/sdp_map.h"
#include "alg/sip/second_opinion.h"

namespace sipalg {

struct EngineRooms {
  EngineRooms(Doors& d, Registrations& r, uint64_t salt) : doors(d), registrations(r), calls(doors, stats, salt) {}
  Doors& doors;
  Registrations& registrations;
  Policy policy;
  Stats stats;
  CallDatabase calls;
  Learned learned;
  SipService service;
  sip::SecondOpinion opinion;
};

struct EngineHouse {
  EngineHouse(DoorKeeper& keeper, uint64_t salt, uint32_t shards)
      : doors(keeper, shards), registrations(doors, shards),
        rooms(shards, [&](uint32_t) { return EngineRooms(doors, registrations, salt); }) {}
  Doors doors;
  Registrations registrations;
  Sharded<EngineRooms> rooms;
};

}  // namespace sipalg
