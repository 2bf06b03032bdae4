// SPDX-License-Identifier: GPL-2.0-or-later
// Streams: one connection for each flow, messages framed by Content-Length.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "test/load/sockets.h"

namespace sipalg::load {
namespace {

constexpr std::size_t most_unsent = 1 << 20;

// How many bytes the first message has; 0: not all of it is there.
std::size_t message_bytes(std::string_view bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  constexpr std::string_view name = "\r\nContent-Length: ";
  const std::size_t line = bytes.substr(0, head + 2).rfind(name);
  std::size_t body = 0;
  if (line != std::string_view::npos) std::from_chars(bytes.data() + line + name.size(), bytes.data() + head, body);
  return head + 4 + body <= bytes.size() ? head + 4 + body : 0;
}

class Connection {
 public:
  explicit Connection(FileDescriptor socket_fd) : socket_(std::move(socket_fd)) {
    const int on = 1;
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  int fd() const { return socket_.get(); }

  bool is_full() const { return unsent_.size() > most_unsent; }
  // Where the next message of so many bytes is to be written.
  char* add(std::size_t size) {
    unsent_.resize(unsent_.size() + size);
    return unsent_.data() + unsent_.size() - size;
  }
  void flush() {
    while (!unsent_.empty()) {
      const ssize_t sent = send(fd(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent <= 0) return;  // the rest with the next turn
      unsent_.erase(0, static_cast<std::size_t>(sent));
    }
  }
  template <typename OnMessage>
  bool receive(const OnMessage& on_message) {
    const ssize_t got = recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (got < 0) return true;
    received_.append(buffer_.data(), static_cast<std::size_t>(got));
    std::string_view rest = received_;
    while (const std::size_t size = message_bytes(rest)) {
      on_message(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    received_.erase(0, received_.size() - rest.size());
    return true;
  }

 private:
  FileDescriptor socket_;
  std::string unsent_, received_;
  std::vector<char> buffer_ = std::vector<char>(256 << 10);
};

// Connections by flow; a server's come one by one.
class TcpWire : public Wire {
 public:
  explicit TcpWire(std::size_t flows) : connections_(flows) {}
  void put(std::size_t flow, const Template& text, const Values& values) override {
    if (Connection* connection = usable(flow)) text.write(values, connection->add(text.size()));
  }
  void put(std::size_t flow, std::string_view text) override {
    if (Connection* connection = usable(flow)) text.copy(connection->add(text.size()), text.size());
  }
  void flush() override {
    for (const auto& connection : connections_)
      if (connection) connection->flush();
  }
  void receive(int64_t wait_ns, const OnArrival& on_arrival) override {
    for (std::size_t number : ready_.wait(wait_ns)) {
      if (number == connections_.size()) {
        accept_one();
        continue;
      }
      if (!connections_[number]) continue;
      const bool lives = connections_[number]->receive([&](std::string_view bytes) { on_arrival({number, bytes, now_ns()}); });
      if (!lives) connections_[number].reset();
    }
  }

 protected:
  Connection* usable(std::size_t flow) {
    Connection* const connection = connections_[flow].get();
    if (connection && !connection->is_full()) return connection;
    ++refused;
    return nullptr;
  }
  virtual void accept_one() {}
  void join(std::size_t flow, FileDescriptor socket_fd) {
    connections_[flow] = std::make_unique<Connection>(std::move(socket_fd));
    ready_.add(connections_[flow]->fd(), flow);
  }
  std::vector<std::unique_ptr<Connection>> connections_;
  Readiness ready_;
};

class TcpFlows : public TcpWire {
 public:
  explicit TcpFlows(const std::vector<SocketEnds>& flows) : TcpWire(flows.size()) {
    for (std::size_t flow = 0; flow < flows.size(); ++flow) join(flow, open_socket(flows[flow], SOCK_STREAM));
  }
};

class TcpServer : public TcpWire {
 public:
  TcpServer(const SocketEnds& own, const Flows& flows) : TcpWire(flows.size()), flows_(flows), listener_(open_socket(own, SOCK_STREAM)) {
    if (listen(listener_.get(), 1024) != 0) fail("listen");
    ready_.add(listener_.get(), flows.size());
  }

 private:
  void accept_one() override {
    sockaddr_in remote{};
    socklen_t size = sizeof remote;
    FileDescriptor peer(accept4(listener_.get(), generic(remote), &size, SOCK_CLOEXEC));
    if (!peer) return;
    if (const auto flow = flows_.flow_of(host_of(remote), ntohs(remote.sin_port)))
      join(*flow, std::move(peer));
    else
      ++strays;
  }
  const Flows& flows_;
  FileDescriptor listener_;
};

}  // namespace

std::unique_ptr<Wire> make_tcp_flows(const std::vector<SocketEnds>& flows) { return std::make_unique<TcpFlows>(flows); }
std::unique_ptr<Wire> make_tcp_server(const SocketEnds& own, const Flows& flows) { return std::make_unique<TcpServer>(own, flows); }

}  // namespace sipalg::load
