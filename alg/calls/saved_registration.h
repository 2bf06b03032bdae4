// SPDX-License-Identifier: GPL-2.0-or-later
// A registration as bytes that outlive the process, with the doors it owns.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/calls/records.h"

namespace sipalg {

// What it takes to claim the same door again, and what was noted on it.
struct SavedDoor {
  Protocol protocol = Protocol::udp;
  Endpoint inside, outside;
  Network scope;
  uint16_t zone = 0;
  Purpose purpose = Purpose::contact;
  std::string contact_text, contact_user;
};

struct SavedRegistration {
  Registration registration;    // without doors
  bool was_own = false;         // its outside address was one of the router's
  std::vector<SavedDoor> doors;
};

std::string saved(const Registration& registration, bool is_own, const Doors& doors);
// None: it is damaged, or of another format.
std::optional<SavedRegistration> read_saved(std::string_view bytes);

}  // namespace sipalg
