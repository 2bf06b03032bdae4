// SPDX-License-Identifier: GPL-2.0-or-later
// What systemd wants to hear (sd_notify(3)). Without systemd nothing happens.
#pragma once
#include <chrono>
#include <optional>
#include <string>

#include "alg/base/instant.h"

namespace sipalg {

class Service {
 public:
  Service();  // reads WATCHDOG_USEC
  void ready();
  void reloading();
  void stopping();
  void status(const std::string& text);  // sent when it is another one than the last
  void alive(Instant now);               // feeds the watchdog, twice per its period

 private:
  std::optional<std::chrono::milliseconds> watchdog_;
  Instant fed_{};
  std::string status_;
};

}  // namespace sipalg
