// SPDX-License-Identifier: GPL-2.0-or-later
// What one message needs while it is handled. Kept from message to message for its memory; of one at a time.
#pragma once
#include <string>
#include <vector>

#include "alg/doors/door_table.h"
#include "alg/edit/edit_list.h"
#include "alg/sdp/session.h"
#include "alg/sip/message.h"

namespace sipalg {

struct Scratch {
  sip::Message message;
  sdp::Session session;
  EditList edits;
  std::vector<DoorId> opened;               // doors that went into the kernel for this message
  std::string first_output, second_output;  // two: a message that passes two inside ends
};

}  // namespace sipalg
