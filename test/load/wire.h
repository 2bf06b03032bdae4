// SPDX-License-Identifier: GPL-2.0-or-later
// One side's sockets: messages out in batches, messages in with the time the kernel got them.
#pragma once
#include <functional>
#include <memory>

#include "test/load/flows.h"

namespace sipalg::load {

int64_t now_ns();  // CLOCK_REALTIME, the clock of received packets' time stamps

struct Arrival {
  std::size_t flow;
  std::string_view bytes;
  int64_t at;  // ns
};

class Wire {
 public:
  using OnArrival = std::function<void(const Arrival&)>;
  virtual ~Wire() = default;
  // Sent with the next flush() at the latest.
  virtual void put(std::size_t flow, const Template& text, const Values& values) = 0;
  virtual void put(std::size_t flow, std::string_view text) = 0;
  virtual void flush() = 0;
  // Waits for something to receive, no longer than that, and hands on what there is.
  virtual void receive(int64_t wait_ns, const OnArrival& on_arrival) = 0;
  // What came from nobody we know, or could not be sent.
  std::size_t strays = 0, refused = 0;
};

// A socket, bound and connected; empty remote: not connected.
struct SocketEnds {
  std::string host;
  uint16_t port;
  std::string remote_host{};
  uint16_t remote_port = 0;
};

// Throws std::system_error. `flow_of` tells the flow by the source where one socket serves them all.
std::unique_ptr<Wire> make_udp_flows(const std::vector<SocketEnds>& flows);
std::unique_ptr<Wire> make_udp_server(const SocketEnds& own, const Flows& flows);
std::unique_ptr<Wire> make_tcp_flows(const std::vector<SocketEnds>& flows);  // returns when all are connected
std::unique_ptr<Wire> make_tcp_server(const SocketEnds& own, const Flows& flows);

// The calling thread's sockets belong to that namespace from now on; the name as in `ip netns`.
void enter_namespace(const std::string& name);

}  // namespace sipalg::load
