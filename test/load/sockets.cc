// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

namespace sipalg::load {

void fail(const std::string& what) { throw std::system_error(errno, std::system_category(), what); }

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void enter_namespace(const std::string& name) {
  const std::string path = "/run/netns/" + name;
  const FileDescriptor space(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!space || setns(space.get(), CLONE_NEWNET) != 0) fail(path);
}

sockaddr_in address_of(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) throw std::invalid_argument(host + " is no IPv4 address");
  return address;
}

std::string host_of(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return text;
}

const sockaddr* generic(const sockaddr_in& address) {
  const void* bytes = &address;
  return static_cast<const sockaddr*>(bytes);
}
sockaddr* generic(sockaddr_in& address) {
  void* bytes = &address;
  return static_cast<sockaddr*>(bytes);
}

FileDescriptor open_socket(const SocketEnds& ends, int type) {
  const std::string name = ends.host + ":" + std::to_string(ends.port);
  FileDescriptor socket_fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (!socket_fd) fail("socket");
  const int on = 1, bytes = 8 << 20;
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  setsockopt(socket_fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  const sockaddr_in own = address_of(ends.host, ends.port);
  if (bind(socket_fd.get(), generic(own), sizeof own) != 0) fail("bind to " + name);
  if (ends.remote_host.empty()) return socket_fd;
  const sockaddr_in remote = address_of(ends.remote_host, ends.remote_port);
  if (connect(socket_fd.get(), generic(remote), sizeof remote) != 0) fail("connect from " + name + " to " + ends.remote_host);
  return socket_fd;
}

Readiness::Readiness() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) fail("epoll");
}

void Readiness::add(int fd, std::size_t number) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = number;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll add");
  ++count_;
}

std::vector<std::size_t> Readiness::wait(int64_t ns) {
  std::vector<epoll_event> events(count_ + 1);
  const timespec longest{ns / 1'000'000'000, ns % 1'000'000'000};
  const int found = epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &longest, nullptr);
  if (found < 0 && errno != EINTR) fail("epoll wait");
  std::vector<std::size_t> numbers;
  for (int i = 0; i < found; ++i) numbers.push_back(events[static_cast<std::size_t>(i)].data.u64);
  return numbers;
}

}  // namespace sipalg::load
