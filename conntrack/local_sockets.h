// SPDX-License-Identifier: GPL-2.0-or-later
// Which ports the router's own programs hold.
#pragma once
#include <sys/socket.h>

#include "alg/base/endpoint.h"
#include "conntrack/netlink.h"
#include "conntrack/port_set.h"

namespace sipalg {

// The endpoint as bind() and sendto() take it. Returns how many bytes of `storage` it has.
socklen_t socket_address(const Endpoint& endpoint, sockaddr_storage& storage);

// A socket of the router holds this endpoint. False for addresses that are not the router's. Asks by bind().
bool is_bound(Protocol protocol, const Endpoint& endpoint);

// The same for all ports of an address at once, by sock_diag.
class LocalSockets {
 public:
  LocalSockets(); // throws std::system_error
  // UDP ports whose socket is bound to the address or to every address. False: the kernel has no udp_diag, `ports` is as
  // before. There is no such question for TCP: before 6.9 it leaves out who has bound and does not listen yet.
  bool find_udp(const Address& address, PortSet& ports);

 private:
  bool dump(Family family, const Address& address, PortSet& ports);
  NetlinkSocket socket_;
};

} // namespace sipalg
