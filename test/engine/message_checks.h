// SPDX-License-Identifier: GPL-2.0-or-later
// What holds for one message that passed the engine, whatever the kernel refused.
#pragma once
#include "test/engine/world.h"

namespace sipalg::test {

// `sent` went out past the inside end as `arrived`; the world has just played it.
void check_groups(const World& world, const std::string& sent, const std::string& arrived);
void check_header_doors(const World& world);
void check_media_doors(const World& world, const std::string& sent, const std::string& arrived);

}  // namespace sipalg::test
