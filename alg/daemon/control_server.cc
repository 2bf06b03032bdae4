// SPDX-License-Identifier: GPL-2.0-or-later
// Clients are few, slow ones are let go, and none of them can make the packets wait for its reading. One too many is told so.
#include "alg/daemon/control_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace sipalg {
namespace {

constexpr std::size_t most_clients = 16;
constexpr std::chrono::seconds patience{10}, patience_with_refused{1};

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error("control socket " + path + ": " + what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(path, "the path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

FileDescriptor make_socket() {
  return FileDescriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Leaves the path free, or throws: another daemon lives there, or it is no socket at all.
void remove_leftover(const std::string& path, const sockaddr_un& address) {
  struct stat about {};
  if (lstat(path.c_str(), &about) != 0) return;
  if (!S_ISSOCK(about.st_mode)) fail(path, "something that is no socket stands there; choose another `control-socket`");
  const FileDescriptor probe = make_socket();
  if (connect(probe.get(), generic(address), sizeof address) == 0 || errno == EAGAIN)
    fail(path, "another sipalgd answers there; stop it first, or, in another network namespace, give this one its own `control-socket` "
               "and `state`");
  if (unlink(path.c_str()) != 0) fail(path, std::string("can not be replaced: ") + std::strerror(errno));
}

FileDescriptor listen_on(const std::string& path) {
  const sockaddr_un address = address_of(path);
  remove_leftover(path, address);
  FileDescriptor listener = make_socket();
  const mode_t old_mask = umask(0117);
  const int bound = bind(listener.get(), generic(address), sizeof address);
  const int error = errno;
  umask(old_mask);
  if (bound != 0 || listen(listener.get(), static_cast<int>(most_clients)) != 0)
    fail(path, std::string(std::strerror(bound != 0 ? error : errno)) +
                   "; its directory must exist and belong to the user of sipalgd (the unit makes /run/sipalg)");
  return listener;
}

std::string refusal() {
  return control::to_line(std::unexpected(
      control::Error{"too many clients: " + std::to_string(most_clients) + " are connected to sipalgd",
                     "try again; those that say nothing for " + std::to_string(patience.count()) + " seconds are let go"}));
}

}  // namespace

ControlServer::ControlServer(Loop& loop, const std::string& path, Answer answer)
    : loop_(loop), path_(path), answer_(std::move(answer)), listener_(listen_on(path)) {
  loop_.watch(listener_.get(), EPOLLIN, [this] { accept_client(); });
}

ControlServer::~ControlServer() {
  while (!clients_.empty()) let_go(clients_.begin()->first);
  loop_.unwatch(listener_.get());
  unlink(path_.c_str());
}

void ControlServer::accept_client() {
  FileDescriptor fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return;
  if (clients_.size() >= most_clients) return refuse(std::move(fd));
  const int number = fd.get();
  Client& client = clients_[number];
  client.fd = std::move(fd);
  client.since = boot_time();
  loop_.watch(number, EPOLLIN, [this, number] { serve(number); });
}

// It is told before it asks, but its question must find this end open, or it sees a broken pipe and does not read the answer.
void ControlServer::refuse(FileDescriptor client) {
  static const std::string answer = refusal();
  send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  shutdown(client.get(), SHUT_WR);
  if (refused_.size() == most_clients) refused_.pop_front();
  refused_.push_back({std::move(client), boot_time()});
}

void ControlServer::serve(int fd) {
  Client& client = clients_.at(fd);
  const bool wants_more = client.answer.empty() ? read_request(client) : write_answer(client);
  if (!wants_more) let_go(fd);
}

bool ControlServer::read_request(Client& client) {
  std::array<char, 4096> buffer{};
  const auto size = ::read(client.fd.get(), buffer.data(), buffer.size());
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  if (client.request.append({buffer.data(), static_cast<std::size_t>(size)}) == control::LineBuffer::State::incomplete)
    return true;
  make_answer(client);
  loop_.change(client.fd.get(), EPOLLOUT);
  return write_answer(client);
}

void ControlServer::make_answer(Client& client) {
  std::expected<Json, control::Error> answer;
  if (client.request.state() == control::LineBuffer::State::too_long) {
    answer = std::unexpected(control::Error{"the request is longer than 4096 bytes", "send a shorter one"});
  } else if (const auto request = control::parse_request(client.request.line())) {
    answer = answer_(*request);
  } else {
    answer = std::unexpected(request.error());
  }
  client.answer = control::to_line(answer);
}

bool ControlServer::write_answer(Client& client) {
  const auto size = send(client.fd.get(), client.answer.data() + client.sent, client.answer.size() - client.sent, MSG_NOSIGNAL);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  client.sent += static_cast<std::size_t>(size);
  client.since = boot_time();
  return client.sent < client.answer.size();
}

void ControlServer::let_go(int fd) {
  loop_.unwatch(fd);
  clients_.erase(fd);
}

void ControlServer::tick(Instant now) {
  std::vector<int> late;
  for (const auto& [fd, client] : clients_)
    if (now - client.since > patience) late.push_back(fd);
  for (int fd : late) let_go(fd);
  while (!refused_.empty() && now - refused_.front().since > patience_with_refused) refused_.pop_front();
}

}  // namespace sipalg
