// SPDX-License-Identifier: GPL-2.0-or-later
// The messages of call_messages.h, as one call sends them.
#pragma once
#include "test/engine/call_messages.h"
#include "test/engine/world.h"

namespace sipalg::test {

inline void set_up_call(World& world) {
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.out(phone, "203.0.113.2:5080", sip_text(ack));
}

inline void hang_up(World& world) {
  world.delivered("203.0.113.2:5080", w, sip_text(bye_from_bob));
  world.out(phone, "203.0.113.2:5080", sip_text(ok_to_bye));
}

}  // namespace sipalg::test
