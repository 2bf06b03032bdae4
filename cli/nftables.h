// SPDX-License-Identifier: GPL-2.0-or-later
// Loads rules into the kernel, all of them or none.
#pragma once
#include <string>

namespace sipalg {

// One transaction. Throws CommandError with nft's first reason, and what to do, when nothing was changed.
void load_rules(const std::string& rules);

} // namespace sipalg
