// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine owns.
#pragma once
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "alg/rewrite/header_map.h"
#include "alg/rewrite/header_restore.h"
#include "alg/rewrite/naming.h"
#include "alg/rewrite/sdp_map.h"
#include "alg/sip/second_opinion.h"

namespace sipalg {

struct EngineRooms {
  EngineRooms(Policy p, DoorKeeper& keeper, Stats& s, uint64_t salt)
      : policy(std::move(p)), stats(s), doors(keeper, s), calls(doors, s, salt) {}
  Policy policy;
  Stats& stats;
  DoorTable doors;
  CallDatabase calls;
  Learned learned;
  SipService service;
  sip::SecondOpinion opinion;
};

}  // namespace sipalg
