// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace sipalg::load {
namespace {

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }
double ticks(uint64_t count) { return static_cast<double>(count) / static_cast<double>(sysconf(_SC_CLK_TCK)); }

// proc(5): user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user.
double machine_seconds() {
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;
  uint64_t busy = 0, value = 0;
  for (int field = 0; field < 8 && file >> value; ++field)
    if (field != 3 && field != 4) busy += value;
  return ticks(busy);
}

// The fields behind the name, which may hold anything but ends with the last parenthesis.
double process_seconds(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t behind = line.rfind(')');
  if (behind == std::string::npos) return 0;
  std::istringstream fields(line.substr(behind + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  uint64_t user = 0, system = 0;
  fields >> user >> system;
  return ticks(user + system);
}

uint64_t resident_bytes(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Usage Usage::now(const std::vector<int>& watched) {
  Usage usage;
  usage.machine = machine_seconds();
  for (int process : watched) {
    usage.watched += process_seconds(process);
    usage.watched_bytes += resident_bytes(process);
  }
  rusage own{};
  getrusage(RUSAGE_SELF, &own);
  usage.own = seconds(own.ru_utime) + seconds(own.ru_stime);
  return usage;
}

}  // namespace sipalg::load
