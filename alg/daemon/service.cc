// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/daemon/service.h"

#include <systemd/sd-daemon.h>

namespace sipalg {

Service::Service() {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0)
    watchdog_ = std::chrono::milliseconds(static_cast<int64_t>(microseconds / 1000));
}

void Service::ready() { sd_notify(0, "READY=1"); }
void Service::reloading() { sd_notify(0, "RELOADING=1"); }
void Service::stopping() { sd_notify(0, "STOPPING=1"); }

void Service::status(const std::string& text) {
  if (text == status_) return;
  status_ = text;
  sd_notify(0, ("STATUS=" + text).c_str());
}

void Service::alive(Instant now) {
  if (!watchdog_ || now - fed_ < *watchdog_ / 2) return;
  fed_ = now;
  sd_notify(0, "WATCHDOG=1");
}

}  // namespace sipalg
