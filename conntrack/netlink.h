// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket and the messages for it: RAII over libmnl.
//
// How it works. A NetlinkBatch collects messages, one NetlinkSocket::exchange() sends them together and gives back one
// result per message. The netfilter subsystems answer before sendmsg() returns, so the answers are read without
// blocking and nothing here can hang; an answer that is missing is ENOBUFS (the receive buffer was too small).
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

struct mnl_socket;
struct nlmsghdr;
struct nlattr;

namespace sipalg {

std::error_code errno_code(int error); // positive errno value

// Messages for one send, numbered from 0 in the order of begin().
class NetlinkBatch {
 public:
  // Starts a message with room for `room` bytes of attributes; the pointer holds until end().
  nlmsghdr* begin(uint16_t type, uint16_t flags, std::size_t room = 4096);
  // The same with the nfnetlink header behind it. `family` is AF_INET, AF_INET6 or AF_UNSPEC.
  nlmsghdr* begin_netfilter(uint8_t subsystem, uint8_t type, uint16_t flags, uint8_t family, uint16_t resource = 0,
                            std::size_t room = 4096);
  void end(); // closes the message last begun

  std::size_t count() const { return starts_.size(); }
  bool empty() const { return starts_.empty(); }
  void clear();
  void reverse(); // last message first

 private:
  friend class NetlinkSocket;
  nlmsghdr* at(std::size_t index);
  std::size_t end_of(std::size_t index) const;
  std::vector<uint8_t> bytes_;
  std::vector<std::size_t> starts_;
};

class NetlinkSocket {
 public:
  using Results = std::vector<std::error_code>;
  using OnReply = std::function<void(std::size_t index, const nlmsghdr&)>;
  using OnMessage = std::function<void(const nlmsghdr&)>;
  static constexpr std::size_t everything = SIZE_MAX;

  // `bus`: NETLINK_NETFILTER, NETLINK_ROUTE. `groups`: bit mask of multicast groups. Throws std::system_error.
  explicit NetlinkSocket(int bus, unsigned groups = 0, int receive_bytes = 8 << 20);

  int fd() const;
  uint32_t portid() const;

  // Sends all messages, `most` bytes at a time, and returns one result per message. A message without NLM_F_ACK has
  // succeeded when no error came back. What a message answers beside its ack is given to `on_reply`.
  Results exchange(NetlinkBatch& batch, const OnReply& on_reply = {}, std::size_t most = 128 << 10);

  // One request that is answered by many messages.
  std::expected<void, std::error_code> dump(NetlinkBatch& request, const OnMessage& on_message);

  // Whatever has arrived, without waiting (event sockets). ENOBUFS: messages were lost.
  std::expected<void, std::error_code> receive(const OnMessage& on_message);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  void send_range(NetlinkBatch& batch, std::size_t first, std::size_t last, Results& results);
  void collect(uint32_t base, Results& results, std::vector<bool>& answered, const OnReply& on_reply);
  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<uint8_t> buffer_;
  uint32_t sequence_ = 1;
};

// First error of the results, in the order of the messages; no error when all are well.
std::error_code first_error(const NetlinkSocket::Results& results);

} // namespace sipalg
