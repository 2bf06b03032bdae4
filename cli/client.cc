// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "alg/daemon/file_descriptor.h"

namespace sipalg {
namespace {

constexpr timeval patience{10, 0};

bool is_absence(int error) { return error == ENOENT || error == ECONNREFUSED; }

std::string cure_for(int error, const std::string& path) {
  if (error == EACCES) return "the socket belongs to user and group of sipalgd: use sudo, or join the group sipalg";
  if (is_absence(error))
    return "is sipalgd running? `systemctl status sipalgd` tells; --socket names another one than " + path;
  return "`systemctl status sipalgd` tells more";
}

[[noreturn]] void fail(const std::string& path, int error) {
  if (error == EAGAIN) error = ETIMEDOUT;  // what the kernel says when our patience has ended
  const std::string text = "sipalgd does not answer on " + path + ": " + std::strerror(error) + "; " + cure_for(error, path);
  if (is_absence(error)) throw NoDaemon(text);
  throw CommandError(text, exit_no_daemon);
}

FileDescriptor connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw CommandError("the socket path " + path + " is too long", exit_usage);
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(path, errno);
  return fd;
}

void send_all(const FileDescriptor& fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto size = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) fail(path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

control::LineBuffer receive_line(const FileDescriptor& fd, const std::string& path) {
  control::LineBuffer line(control::answer_bytes);
  std::array<char, 65536> buffer{};
  while (line.state() == control::LineBuffer::State::incomplete) {
    const auto size = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) fail(path, size == 0 ? ECONNRESET : errno);
    line.append({buffer.data(), static_cast<std::size_t>(size)});
  }
  return line;
}

}  // namespace

Json fetch(const std::string& socket, const control::Request& request) {
  const FileDescriptor fd = connect_to(socket);
  send_all(fd, control::to_line(request), socket);
  const control::LineBuffer line = receive_line(fd, socket);
  auto answer = control::parse_answer(line.line());
  if (answer) return std::move(*answer);
  throw CommandError(answer.error().text + (answer.error().cure.empty() ? "" : "; " + answer.error().cure));
}

}  // namespace sipalg
