// SPDX-License-Identifier: GPL-2.0-or-later
// CAP_NET_ADMIN and nothing else, but for root who may use the real-time class by CAP_SYS_NICE alone.
#pragma once
#include <string>

namespace sipalg {

bool has_net_admin();

// From root to `user`, keeping CAP_NET_ADMIN alone; the directory of `socket` is made for that user when it is missing.
// Throws std::runtime_error with what to do.
void become_user(const std::string& user, const std::string& socket);

// Before these: threads may be of the real-time class at its lowest priority. False: refused. Root is, where it lacks
// CAP_SYS_RESOURCE, as in some containers.
bool allow_real_time();
// There CAP_SYS_NICE does the same.
void keep_net_admin_and_nice();

// No capability but CAP_NET_ADMIN, and no way to get one back.
void keep_net_admin_alone();

}  // namespace sipalg
