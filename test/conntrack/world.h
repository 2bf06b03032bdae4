// SPDX-License-Identifier: GPL-2.0-or-later
// Three namespaces with real packets: inside (10.0.0.2, .3, fd00::2, ::3) - router (10.0.0.1 | 203.0.113.1) - outside
// (203.0.113.2, .3, 2001:db8::2, ::3). The test itself runs in the router's namespace.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "alg/base/endpoint.h"

namespace sipalg::test {

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Received {
  std::string text;
  Endpoint from;
};

class UdpSocket {
 public:
  explicit UdpSocket(const Endpoint& local); // in the namespace the thread is in
  bool send(std::string_view text, const Endpoint& to) const;
  std::optional<Received> receive() const; // without waiting
 private:
  Fd fd_;
};

// Both ends of a TCP connection through the router; `seen`: the client as the server sees it.
struct TcpPair {
  Fd client, server;
  Endpoint seen;
};

enum class Side { inside, router, outside };
enum class Firewall {
  none,    // forwards everything, masquerades
  outward, // policy drop; established, related, and everything from lan
  strict,  // policy drop; established, related, and SIP from lan
};

class World {
 public:
  explicit World(Firewall firewall = Firewall::outward, bool translate = true);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  UdpSocket udp(Side side, std::string_view endpoint) const;
  // Does a TCP connection from `from` reach `listener` when it is made to `to`? Says who the listener sees, or
  // "nothing".
  std::string tcp(Side listening, std::string_view listener, Side calling, std::string_view from,
                  std::string_view to) const;
  std::optional<TcpPair> connect(Side listening, std::string_view listener, Side calling, std::string_view from,
                                 std::string_view to) const;
  // What the connection's end has received within `patience`: "" nothing, "closed", "reset", or the text.
  std::string read(const Fd& end, std::chrono::milliseconds patience = std::chrono::milliseconds{300}) const;
  // Output of a shell command in a namespace.
  std::string run(Side side, const std::string& command) const;
  // Called while waiting for packets: the queue's reader, the keeper's events.
  std::function<void()> pump;
  std::optional<Received> receive(const UdpSocket& socket,
                                  std::chrono::milliseconds patience = std::chrono::milliseconds{300}) const;
  void idle(std::chrono::milliseconds time) const;

 private:
  std::string name(Side side) const;
  void enter(Side side) const;
  std::string prefix_;
};

// Text of a packet that arrived and where it came from: "hello from 203.0.113.1:4000", "nothing".
std::string describe(const std::optional<Received>& received);

Endpoint ep(std::string_view text);

} // namespace sipalg::test
