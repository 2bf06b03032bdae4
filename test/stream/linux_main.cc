// SPDX-License-Identifier: GPL-2.0-or-later
// Skips, visibly, where there is no right to make a network or no TUN device.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdio>
#include <unistd.h>

int main(int argc, char** argv) {
  if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) {
    std::fputs("needs root and /dev/net/tun: skipped\n", stderr);
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
