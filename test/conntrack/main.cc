// SPDX-License-Identifier: GPL-2.0-or-later
// Runs tests that make network namespaces; without the privilege they are skipped (meson: exit code 77).
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdio>
#include <sched.h>
#include <unistd.h>

int main(int argc, char* argv[]) {
  if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
    std::fputs("needs root and network namespaces: skipped\n", stderr);
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
