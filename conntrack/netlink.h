// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket and the messages for it: RAII over libmnl.
//
// How it works. A NetlinkBatch collects messages, one NetlinkSocket::exchange() sends them together and gives back one
// result per message. The netfilter subsystems answer before sendmsg() returns, so the answers are read without
// blocking and nothing here can hang. A message without NLM_F_ACK is answered only when it fails: no answer is success,
// unless the kernel says that it could not deliver one (ENOBUFS). So few messages go out at a time that their errors
// fit the smallest receive buffer. With NLM_F_ACK an answer that is missing is ENOBUFS.
#pragma once
#include <algorithm>
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
  void clear(); // keeps the memory

  // Appends a message made before; the place holds until more is appended. extend() makes it longer.
  uint8_t* append(std::span<const uint8_t> message);
  uint8_t* extend(std::size_t bytes); // a multiple of 4; to be filled by the caller
  nlmsghdr* last() { return at(starts_.size() - 1); }
  std::span<const uint8_t> message(std::size_t index) const;

 private:
  friend class NetlinkSocket;
  nlmsghdr* at(std::size_t index);
  std::size_t end_of(std::size_t index) const;
  uint8_t* grow(std::size_t bytes); // their start; what is there is not zeroed: libmnl sets every byte, padding too
  std::unique_ptr<uint8_t[]> bytes_;
  std::size_t size_ = 0, capacity_ = 0;
  std::vector<std::size_t> starts_;
};

// One result per message of a batch. All well, as nearly always, takes no memory.
class NetlinkResults {
 public:
  explicit NetlinkResults(std::size_t size = 0) : size_(size) {}
  std::size_t size() const { return size_; }
  bool is_well() const { return failures_.empty(); }
  std::error_code operator[](std::size_t index) const;
  std::size_t done() const { return size_ - failures_.size(); } // how many are well
  struct Failure {
    std::size_t index;
    int error; // positive errno
  };
  const std::vector<Failure>& failures() const { return failures_; } // in the order of the messages
  void fail(std::size_t index, int error); // the first error of a message counts

 private:
  std::size_t size_;
  std::vector<Failure> failures_;
};

class NetlinkSocket {
 public:
  using Results = NetlinkResults;
  using OnReply = std::function<void(std::size_t index, const nlmsghdr&)>;
  using OnMessage = std::function<void(const nlmsghdr&)>;
  static constexpr std::size_t everything = SIZE_MAX;

  // `bus`: NETLINK_NETFILTER, NETLINK_ROUTE. `groups`: bit mask of multicast groups. Throws std::system_error.
  explicit NetlinkSocket(int bus, unsigned groups = 0, int receive_bytes = 8 << 20);

  int fd() const;
  uint32_t portid() const;

  // Sends all messages, `most` bytes at a time, and returns one result per message. What a message answers beside its
  // ack is given to `on_reply`.
  Results exchange(NetlinkBatch& batch, const OnReply& on_reply = {}, std::size_t most = 128 << 10);

  // One request that is answered by many messages.
  std::expected<void, std::error_code> dump(NetlinkBatch& request, const OnMessage& on_message);

  // Events of one more multicast group, or of one less; what has arrived stays. False: the kernel refused.
  bool join(unsigned group);
  bool leave(unsigned group);

  // Whatever has arrived, without waiting (event sockets). ENOBUFS: messages were lost.
  std::expected<void, std::error_code> receive(const OnMessage& on_message);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  struct Range {
    std::size_t first, last;
  };
  int send_range(NetlinkBatch& batch, Range range); // 0, or why not
  void collect(NetlinkBatch& batch, uint32_t base, Range range, Results& results, const OnReply& on_reply);
  std::unique_ptr<mnl_socket, Close> socket_;
  std::unique_ptr<uint8_t[]> buffer_; // only what is used of it takes memory
  std::vector<bool> answered_; // scratch of exchange()
  uint32_t sequence_ = 1;
};

// First error of the results, in the order of the messages; no error when all are well.
std::error_code first_error(const NetlinkSocket::Results& results);

} // namespace sipalg
