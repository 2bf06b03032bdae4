// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the births maps of our table (steering.h): by the header of a packet whose conntrack was not confirmed when it passed
// the rules, its original tuple. Each worker has its own, with its own socket.
#pragma once
#include <expected>
#include <string>
#include <system_error>

#include "conntrack/ctnetlink.h"
#include "conntrack/netlink.h"

namespace sipalg {

struct Birth {
  Tuple original;
  uint16_t zone = 0;
  uint32_t status = 0; // IPS_SRC_NAT, IPS_DST_NAT
};

class Births {
 public:
  explicit Births(std::string table); // throws std::system_error
  // ENOENT: nothing recorded for that header.
  std::expected<Birth, std::error_code> find(const Tuple& header);

 private:
  std::string table_;
  NetlinkSocket socket_;
};

} // namespace sipalg
