// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel settings under /proc/sys.
#pragma once
#include <fstream>
#include <string>

namespace sipalg {

// `name` as in "net/netfilter/nf_conntrack_expect_max"; empty when there is none.
inline std::string kernel_setting(const std::string& name) {
  std::ifstream file("/proc/sys/" + name);
  std::string value;
  std::getline(file, value);
  return value;
}

}  // namespace sipalg
