// SPDX-License-Identifier: GPL-2.0-or-later
// Datagrams: sendmmsg and recvmmsg, 64 at a time.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <stdexcept>

#include "test/load/sockets.h"

namespace sipalg::load {
namespace {

constexpr std::size_t batch = 64, most_bytes = 2048;

// What of a socket's messages waits to be sent.
class Outbox {
 public:
  explicit Outbox(int fd) : fd_(fd), bytes_(batch * most_bytes) {}
  bool is_full() const { return count_ == batch; }

  // Where the next message of so many bytes is to be written.
  char* add(std::size_t size, const sockaddr_in* to) {
    if (size > most_bytes) throw std::length_error("a message is longer than a datagram here");
    char* const place = &bytes_[count_ * most_bytes];
    parts_[count_] = {place, size};
    msghdr& header = messages_[count_].msg_hdr;
    header = {};
    header.msg_iov = &parts_[count_];
    header.msg_iovlen = 1;
    if (to) {
      remotes_[count_] = *to;
      header.msg_name = &remotes_[count_];
      header.msg_namelen = sizeof *to;
    }
    ++count_;
    return place;
  }

  // How many the kernel did not take.
  std::size_t flush() {
    std::size_t refused = 0;
    for (std::size_t done = 0; done < count_;) {
      const int sent = sendmmsg(fd_, &messages_[done], static_cast<unsigned>(count_ - done), 0);
      if (sent > 0) {
        done += static_cast<std::size_t>(sent);
        continue;
      }
      if (errno == EINTR) continue;
      ++refused;  // an ICMP error of an earlier one, or no room
      ++done;
    }
    count_ = 0;
    return refused;
  }

 private:
  int fd_;
  std::size_t count_ = 0;
  std::vector<char> bytes_;
  std::array<iovec, batch> parts_{};
  std::array<mmsghdr, batch> messages_{};
  std::array<sockaddr_in, batch> remotes_{};
};

// Where messages are received into.
class Inbox {
 public:
  Inbox() : bytes_(batch * most_bytes) {}

  // Everything that is there; on_message(bytes, source, when).
  template <typename OnMessage>
  void receive(int fd, const OnMessage& on_message) {
    while (true) {
      prepare();
      const int got = recvmmsg(fd, messages_.data(), batch, MSG_DONTWAIT, nullptr);
      for (int i = 0; i < got; ++i) {
        const auto at = static_cast<std::size_t>(i);
        on_message(std::string_view(&bytes_[at * most_bytes], messages_[at].msg_len), sources_[at], stamp(messages_[at].msg_hdr));
      }
      if (got < static_cast<int>(batch)) return;
    }
  }

 private:
  void prepare() {
    for (std::size_t i = 0; i < batch; ++i) {
      parts_[i] = {&bytes_[i * most_bytes], most_bytes};
      msghdr& header = messages_[i].msg_hdr;
      header = {};
      header.msg_iov = &parts_[i];
      header.msg_iovlen = 1;
      header.msg_name = &sources_[i];
      header.msg_namelen = sizeof sources_[i];
      header.msg_control = controls_[i].data();
      header.msg_controllen = controls_[i].size();
    }
  }

  static int64_t stamp(msghdr& header) {
    const cmsghdr* control = CMSG_FIRSTHDR(&header);
    if (control == nullptr || control->cmsg_type != SCM_TIMESTAMPNS) return now_ns();
    timespec time{};
    std::memcpy(&time, CMSG_DATA(control), sizeof time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
  }

  std::vector<char> bytes_;
  std::array<iovec, batch> parts_{};
  std::array<mmsghdr, batch> messages_{};
  std::array<sockaddr_in, batch> sources_{};
  alignas(cmsghdr) std::array<std::array<char, 64>, batch> controls_{};
};

class UdpFlows : public Wire {
 public:
  explicit UdpFlows(const std::vector<SocketEnds>& flows) {
    for (const SocketEnds& ends : flows) {
      sockets_.push_back(open_socket(ends, SOCK_DGRAM));
      outboxes_.emplace_back(sockets_.back().get());
      ready_.add(sockets_.back().get(), sockets_.size() - 1);
    }
  }
  void put(std::size_t flow, const Template& text, const Values& values) override { text.write(values, add(flow, text.size())); }
  void put(std::size_t flow, std::string_view text) override { text.copy(add(flow, text.size()), text.size()); }
  void flush() override {
    for (Outbox& outbox : outboxes_) refused += outbox.flush();
  }
  void receive(int64_t wait_ns, const OnArrival& on_arrival) override {
    for (std::size_t flow : ready_.wait(wait_ns))
      inbox_.receive(sockets_[flow].get(), [&](std::string_view bytes, const sockaddr_in&, int64_t at) { on_arrival({flow, bytes, at}); });
  }

 private:
  char* add(std::size_t flow, std::size_t size) {
    if (outboxes_[flow].is_full()) refused += outboxes_[flow].flush();
    return outboxes_[flow].add(size, nullptr);
  }
  std::vector<FileDescriptor> sockets_;
  std::vector<Outbox> outboxes_;
  Inbox inbox_;
  Readiness ready_;
};

class UdpServer : public Wire {
 public:
  UdpServer(const SocketEnds& own, const Flows& flows) : socket_(open_socket(own, SOCK_DGRAM)), outbox_(socket_.get()) {
    for (std::size_t flow = 0; flow < flows.size(); ++flow) {
      const auto [host, port] = flows.outside_target(flow);
      remotes_.push_back(address_of(host, port));
      by_remote_[key(remotes_.back())] = flow;
    }
    ready_.add(socket_.get(), 0);
  }
  void put(std::size_t flow, const Template& text, const Values& values) override { text.write(values, add(flow, text.size())); }
  void put(std::size_t flow, std::string_view text) override { text.copy(add(flow, text.size()), text.size()); }
  void flush() override { refused += outbox_.flush(); }
  void receive(int64_t wait_ns, const OnArrival& on_arrival) override {
    if (ready_.wait(wait_ns).empty()) return;
    inbox_.receive(socket_.get(), [&](std::string_view bytes, const sockaddr_in& source, int64_t at) {
      const auto known = by_remote_.find(key(source));
      if (known == by_remote_.end())
        ++strays;
      else
        on_arrival({known->second, bytes, at});
    });
  }

 private:
  char* add(std::size_t flow, std::size_t size) {
    if (outbox_.is_full()) flush();
    return outbox_.add(size, &remotes_[flow]);
  }
  static uint64_t key(const sockaddr_in& address) { return uint64_t{address.sin_addr.s_addr} << 16 | address.sin_port; }
  FileDescriptor socket_;
  Outbox outbox_;
  Inbox inbox_;
  std::vector<sockaddr_in> remotes_;
  std::map<uint64_t, std::size_t> by_remote_;
  Readiness ready_;
};

}  // namespace

std::unique_ptr<Wire> make_udp_flows(const std::vector<SocketEnds>& flows) { return std::make_unique<UdpFlows>(flows); }
std::unique_ptr<Wire> make_udp_server(const SocketEnds& own, const Flows& flows) { return std::make_unique<UdpServer>(own, flows); }

}  // namespace sipalg::load
