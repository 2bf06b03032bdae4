// SPDX-License-Identifier: GPL-2.0-or-later
// Who the scenarios are about: phones inside, bob outside, and what alice and bob ordinarily offer and answer.
#pragma once
#include "test/engine/party.h"

namespace sipalg::test {

inline const Party alice{.user = "alice", .agent = "10.0.0.2:5060"};
inline const Party second_line{.user = "fax", .agent = "10.0.0.2:5062"};  // of alice's adapter
inline const Party carol{.user = "carol", .agent = "10.0.0.3:5060"};
inline const Party bob{.user = "bob", .agent = "203.0.113.2:5060"};
inline const Party proxied_alice{.user = "alice", .agent = "10.0.0.2:5060", .proxy = "10.0.0.5:5060"};
inline const Party proxied_bob{.user = "bob", .agent = "203.0.113.2:5062", .proxy = "203.0.113.7:5060"};

inline const std::string offer = audio("10.0.0.2", 4000), answer = audio("203.0.113.3", 30000);
inline const std::string reliable = "Require: 100rel\nRSeq: 1\n";

// What must hold when the kernel refuses nothing.
inline bool is_open(const Stage& stage, std::string_view inside = "10.0.0.2:4000") {
  return !stage.works() || stage.world.door_of(inside).has_value();
}
inline bool is_closed(const Stage& stage, std::string_view inside = "10.0.0.2:4000") {
  return !stage.works() || !stage.world.door_of(inside).has_value();
}
inline bool leads_out(const Stage& stage, std::string_view remote) { return !stage.works() || stage.world.has_way_out("10.0.0.2", remote); }
inline bool leads_nowhere(const Stage& stage, std::string_view remote) {
  return !stage.works() || !stage.world.has_way_out("10.0.0.2", remote);
}

}  // namespace sipalg::test
