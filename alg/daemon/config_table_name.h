// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon's own nftables table may be called.
#pragma once
#include <string_view>

namespace sipalg {

// 1 to 31 letters, digits and underscores, a letter first; neither the zone firewall's table nor a word that nft would
// not take for a name, as an administrator could not look at such a table.
bool is_table_name(std::string_view text);

}  // namespace sipalg
