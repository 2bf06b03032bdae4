// SPDX-License-Identifier: GPL-2.0-or-later
// CAP_NET_ADMIN and nothing else.
#pragma once
#include <string>

namespace sipalg {

bool has_net_admin();

// From root to `user`, keeping CAP_NET_ADMIN alone; the directory of `socket` is made for that user when it is missing.
// Throws std::runtime_error with what to do.
void become_user(const std::string& user, const std::string& socket);

// No capability but CAP_NET_ADMIN, and no way to get one back.
void keep_net_admin_alone();

}  // namespace sipalg
