// SPDX-License-Identifier: GPL-2.0-or-later
// What one message needs while it is handled. Kept from message to message for its memory; each worker has its own.
#pragma once
#include <string>
#include <vector>

#include "alg/rewrite/passage.h"
#include "alg/sdp/session.h"
#include "alg/sip/message.h"

namespace sipalg {

struct Scratch {
  explicit Scratch(uint32_t worker = 0) : shard(worker) {}
  uint32_t shard;  // the part of all records that most messages will need
  sip::Message message;
  sdp::Session session;
  EditList edits;
  std::vector<DoorId> opened;               // doors that went into the kernel for this message
  FailedGroups failed;
  std::string first_output, second_output;  // two: a message that passes two inside ends
};

}  // namespace sipalg
