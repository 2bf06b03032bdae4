// SPDX-License-Identifier: GPL-2.0-or-later
// Catch2's main, compiled once: it takes longer than all the tests that use it.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
