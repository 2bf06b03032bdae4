// SPDX-License-Identifier: GPL-2.0-or-later
// What both kinds of wires need of the kernel.
#pragma once
#include <netinet/in.h>
#include <sys/epoll.h>

#include "alg/daemon/file_descriptor.h"
#include "test/load/wire.h"

namespace sipalg::load {

[[noreturn]] void fail(const std::string& what);  // with errno
sockaddr_in address_of(const std::string& host, uint16_t port);
std::string host_of(const sockaddr_in& address);
const sockaddr* generic(const sockaddr_in& address);
sockaddr* generic(sockaddr_in& address);
// Bound, with large buffers; connected when a remote is named.
FileDescriptor open_socket(const SocketEnds& ends, int type);

// Which of many sockets have something.
class Readiness {
 public:
  Readiness();
  void add(int fd, std::size_t number);
  std::vector<std::size_t> wait(int64_t ns);  // their numbers

 private:
  FileDescriptor epoll_;
  std::size_t count_ = 0;
};

}  // namespace sipalg::load
