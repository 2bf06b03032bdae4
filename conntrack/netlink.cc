// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket and the messages for it: RAII over libmnl.
#include "conntrack/netlink.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

namespace sipalg {
namespace {

// Room a verdict or an option may need is not enough for an ack: this holds the largest chunk of a dump.
constexpr std::size_t receive_chunk = 256 << 10;

void set_buffer(int fd, int force, int plain, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

// 0 for an ack, the positive errno of a refusal; none for other messages.
int error_of(const nlmsghdr& message) { return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error; }

bool is_timeout(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

} // namespace

std::error_code errno_code(int error) { return {error, std::generic_category()}; }

nlmsghdr* NetlinkBatch::begin(uint16_t type, uint16_t flags, std::size_t room) {
  const std::size_t start = bytes_.size();
  starts_.push_back(start);
  bytes_.resize(start + NLMSG_HDRLEN + room);
  nlmsghdr* message = mnl_nlmsg_put_header(&bytes_[start]);
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  return message;
}

nlmsghdr* NetlinkBatch::begin_netfilter(uint8_t subsystem, uint8_t type, uint16_t flags, uint8_t family,
                                        uint16_t resource, std::size_t room) {
  nlmsghdr* message = begin(static_cast<uint16_t>(subsystem << 8 | type), flags, room + sizeof(nfgenmsg));
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  header->res_id = htons(resource);
  return message;
}

void NetlinkBatch::end() {
  const std::size_t start = starts_.back();
  bytes_.resize(start + MNL_ALIGN(at(starts_.size() - 1)->nlmsg_len));
}

void NetlinkBatch::clear() {
  bytes_.clear();
  starts_.clear();
}

void NetlinkBatch::reverse() {
  std::vector<uint8_t> bytes;
  std::vector<std::size_t> starts;
  for (std::size_t i = count(); i-- > 0;) {
    starts.push_back(bytes.size());
    bytes.insert(bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(starts_[i]),
                 bytes_.begin() + static_cast<std::ptrdiff_t>(end_of(i)));
  }
  bytes_ = std::move(bytes);
  starts_ = std::move(starts);
}

nlmsghdr* NetlinkBatch::at(std::size_t index) {
  void* place = &bytes_[starts_[index]];
  return static_cast<nlmsghdr*>(place);
}

std::size_t NetlinkBatch::end_of(std::size_t index) const {
  return index + 1 < starts_.size() ? starts_[index + 1] : bytes_.size();
}

void NetlinkSocket::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

NetlinkSocket::NetlinkSocket(int bus, unsigned groups, int receive_bytes)
    : socket_(mnl_socket_open2(bus, SOCK_CLOEXEC)), buffer_(receive_chunk) {
  if (!socket_ || mnl_socket_bind(socket_.get(), groups, MNL_SOCKET_AUTOPID) < 0)
    throw std::system_error(errno_code(errno), "netlink socket");
  set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
  set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, 8 << 20);
  int on = 1;
  mnl_socket_setsockopt(socket_.get(), NETLINK_CAP_ACK, &on, sizeof on);
}

int NetlinkSocket::fd() const { return mnl_socket_get_fd(socket_.get()); }
uint32_t NetlinkSocket::portid() const { return mnl_socket_get_portid(socket_.get()); }

NetlinkSocket::Results NetlinkSocket::exchange(NetlinkBatch& batch, const OnReply& on_reply, std::size_t most) {
  Results results(batch.count());
  std::vector<bool> answered(batch.count());
  const uint32_t base = sequence_;
  sequence_ += static_cast<uint32_t>(batch.count());
  for (std::size_t i = 0; i < batch.count(); ++i) {
    batch.at(i)->nlmsg_seq = base + static_cast<uint32_t>(i);
    answered[i] = (batch.at(i)->nlmsg_flags & NLM_F_ACK) == 0;
  }
  for (std::size_t first = 0, last = 0; first < batch.count(); first = last) {
    for (last = first + 1; last < batch.count() && batch.end_of(last) - batch.starts_[first] <= most;) ++last;
    send_range(batch, first, last, results);
    collect(base, results, answered, on_reply);
  }
  for (std::size_t i = 0; i < results.size(); ++i)
    if (!answered[i] && !results[i]) results[i] = errno_code(ENOBUFS);
  return results;
}

void NetlinkSocket::send_range(NetlinkBatch& batch, std::size_t first, std::size_t last, Results& results) {
  const std::size_t from = batch.starts_[first];
  if (mnl_socket_sendto(socket_.get(), &batch.bytes_[from], batch.end_of(last - 1) - from) >= 0) return;
  for (std::size_t i = first; i < last; ++i) results[i] = errno_code(errno);
}

void NetlinkSocket::collect(uint32_t base, Results& results, std::vector<bool>& answered, const OnReply& on_reply) {
  for (;;) {
    const ssize_t got = recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (got <= 0) return;
    int left = static_cast<int>(got);
    const void* start = buffer_.data();
    for (auto* m = static_cast<const nlmsghdr*>(start); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      const std::size_t index = m->nlmsg_seq - base; // wraps to something large for stale answers
      if (index >= results.size()) continue;
      if (m->nlmsg_type == NLMSG_ERROR) {
        answered[index] = true;
        if (const int error = error_of(*m); error != 0 && !results[index]) results[index] = errno_code(error);
      } else if (on_reply && m->nlmsg_type >= NLMSG_MIN_TYPE) {
        on_reply(index, *m);
      }
    }
  }
}

std::expected<void, std::error_code> NetlinkSocket::dump(NetlinkBatch& request, const OnMessage& on_message) {
  const uint32_t sequence = sequence_++;
  request.at(0)->nlmsg_seq = sequence;
  request.at(0)->nlmsg_flags |= NLM_F_DUMP;
  Results sent(1);
  send_range(request, 0, 1, sent);
  if (sent[0]) return std::unexpected(sent[0]);
  for (;;) {
    const ssize_t got = recv(fd(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno_code(errno));
    int left = static_cast<int>(got);
    const void* start = buffer_.data();
    for (auto* m = static_cast<const nlmsghdr*>(start); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_seq != sequence) continue;
      if (m->nlmsg_type == NLMSG_DONE) return {};
      if (m->nlmsg_type == NLMSG_ERROR) {
        if (const int error = error_of(*m)) return std::unexpected(errno_code(error));
        return {};
      }
      on_message(*m);
    }
  }
}

std::expected<void, std::error_code> NetlinkSocket::receive(const OnMessage& on_message) {
  for (;;) {
    const ssize_t got = recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && is_timeout(errno)) return {};
    if (got < 0) return std::unexpected(errno_code(errno));
    int left = static_cast<int>(got);
    const void* start = buffer_.data();
    for (auto* m = static_cast<const nlmsghdr*>(start); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
      if (m->nlmsg_type >= NLMSG_MIN_TYPE) on_message(*m);
  }
}

std::error_code first_error(const NetlinkSocket::Results& results) {
  for (const auto& result : results)
    if (result) return result;
  return {};
}

} // namespace sipalg
