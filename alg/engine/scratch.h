// SPDX-License-Identifier: GPL-2.0-or-later
// What one message needs while it is handled. Kept from message to message for its memory; each worker has its own.
#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "alg/rewrite/passage.h"
#include "alg/sdp/session.h"
#include "alg/sip/message.h"
#include "alg/sip/scanner.h"

namespace sipalg {

struct Scratch {
  explicit Scratch(uint32_t worker = 0) : shard(worker) {}
  using Scanned = std::expected<void, sip::ScanFailure>;

  // Reads into `message`, unless it was read ahead.
  Scanned read(std::string_view bytes, std::size_t bytes_behind = 0) {
    return bytes_behind == 0 && is_ahead(bytes) ? ahead : sip::scan(bytes, message, bytes_behind);
  }
  // Before it is handled: Overtaking asks what message it is. Until forget(), or until `message` is of other bytes.
  const Scanned& read_ahead(std::string_view bytes) {
    ahead = sip::scan(bytes, message);
    ahead_of = bytes;
    return ahead;
  }
  bool is_ahead(std::string_view bytes) const {
    return ahead_of.data() != nullptr && ahead_of.data() == bytes.data() && ahead_of.size() == bytes.size();
  }
  void forget() { ahead_of = {}; }

  uint32_t shard;  // the part of all records that most messages will need
  sip::Message message;
  sdp::Session session;
  EditList edits;
  std::vector<DoorId> opened;               // doors that went into the kernel for this message
  FailedGroups failed;
  std::string first_output, second_output;  // two: a message that passes two inside ends
  std::string_view ahead_of;                // no bytes: nothing was read ahead
  Scanned ahead;
};

}  // namespace sipalg
