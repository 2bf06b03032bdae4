// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket and the messages for it: RAII over libmnl.
#include "conntrack/netlink.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
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
constexpr std::size_t events_at_once = 32; // 8 KiB each
constexpr std::size_t first_capacity = 4096;
// An error takes about a kilobyte of the receive buffer, which may be as small as 212,992 bytes, counted twice.
constexpr std::size_t messages_at_once = 256;

void set_buffer(int fd, int force, int plain, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

// 0 for an ack, the positive errno of a refusal; none for other messages.
int error_of(const nlmsghdr& message) { return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error; }

bool is_timeout(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

} // namespace

std::error_code errno_code(int error) { return {error, std::generic_category()}; }

uint8_t* NetlinkBatch::grow(std::size_t bytes) {
  if (size_ + bytes > capacity_) {
    capacity_ = std::max({size_ + bytes, 2 * capacity_, first_capacity});
    auto larger = std::make_unique_for_overwrite<uint8_t[]>(capacity_);
    std::copy_n(bytes_.get(), size_, larger.get());
    bytes_ = std::move(larger);
  }
  uint8_t* start = bytes_.get() + size_;
  size_ += bytes;
  return start;
}

nlmsghdr* NetlinkBatch::begin(uint16_t type, uint16_t flags, std::size_t room) {
  starts_.push_back(size_);
  nlmsghdr* message = mnl_nlmsg_put_header(grow(NLMSG_HDRLEN + room));
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  return message;
}

uint8_t* NetlinkBatch::append(std::span<const uint8_t> message) {
  starts_.push_back(size_);
  uint8_t* place = grow(message.size());
  std::copy(message.begin(), message.end(), place);
  return place;
}

uint8_t* NetlinkBatch::extend(std::size_t bytes) {
  uint8_t* place = grow(bytes);
  last()->nlmsg_len += static_cast<uint32_t>(bytes);
  return place;
}

std::span<const uint8_t> NetlinkBatch::message(std::size_t index) const {
  return {bytes_.get() + starts_[index], end_of(index) - starts_[index]};
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

void NetlinkBatch::end() { size_ = starts_.back() + MNL_ALIGN(last()->nlmsg_len); }

void NetlinkBatch::clear() {
  size_ = 0;
  starts_.clear();
}

nlmsghdr* NetlinkBatch::at(std::size_t index) {
  void* place = bytes_.get() + starts_[index];
  return static_cast<nlmsghdr*>(place);
}

std::size_t NetlinkBatch::end_of(std::size_t index) const {
  return index + 1 < starts_.size() ? starts_[index + 1] : size_;
}

std::error_code NetlinkResults::operator[](std::size_t index) const {
  const auto found = std::ranges::lower_bound(failures_, index, {}, &Failure::index);
  return found != failures_.end() && found->index == index ? errno_code(found->error) : std::error_code{};
}

void NetlinkResults::fail(std::size_t index, int error) {
  const auto place = std::ranges::lower_bound(failures_, index, {}, &Failure::index);
  if (place == failures_.end() || place->index != index) failures_.insert(place, {index, error});
}

void NetlinkSocket::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

NetlinkSocket::NetlinkSocket(int bus, unsigned groups, int receive_bytes)
    : socket_(mnl_socket_open2(bus, SOCK_CLOEXEC)), buffer_(std::make_unique_for_overwrite<uint8_t[]>(receive_chunk)) {
  if (!socket_ || mnl_socket_bind(socket_.get(), groups, MNL_SOCKET_AUTOPID) < 0)
    throw std::system_error(errno_code(errno), "netlink socket");
  set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
  set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, 8 << 20);
  int on = 1;
  mnl_socket_setsockopt(socket_.get(), NETLINK_CAP_ACK, &on, sizeof on);
}

int NetlinkSocket::fd() const { return mnl_socket_get_fd(socket_.get()); }
uint32_t NetlinkSocket::portid() const { return mnl_socket_get_portid(socket_.get()); }

bool NetlinkSocket::join(unsigned group) {
  return mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0;
}
bool NetlinkSocket::leave(unsigned group) {
  return mnl_socket_setsockopt(socket_.get(), NETLINK_DROP_MEMBERSHIP, &group, sizeof group) == 0;
}

NetlinkSocket::Results NetlinkSocket::exchange(NetlinkBatch& batch, const OnReply& on_reply, std::size_t most) {
  Results results(batch.count());
  const std::size_t most_messages = most == everything ? everything : messages_at_once;
  const uint32_t base = sequence_;
  sequence_ += static_cast<uint32_t>(batch.count());
  for (std::size_t i = 0; i < batch.count(); ++i) batch.at(i)->nlmsg_seq = base + static_cast<uint32_t>(i);
  for (Range range{0, 0}; range.first < batch.count(); range.first = range.last) {
    range.last = range.first + 1;
    while (range.last < batch.count() && range.last - range.first < most_messages &&
           batch.end_of(range.last) - batch.starts_[range.first] <= most)
      ++range.last;
    if (const int error = send_range(batch, range); error != 0)
      for (std::size_t i = range.first; i < range.last; ++i) results.fail(i, error);
    else
      collect(batch, base, range, results, on_reply);
  }
  return results;
}

int NetlinkSocket::send_range(NetlinkBatch& batch, Range range) {
  const std::size_t from = batch.starts_[range.first];
  return mnl_socket_sendto(socket_.get(), batch.bytes_.get() + from, batch.end_of(range.last - 1) - from) < 0 ? errno : 0;
}

// Until there is nothing more. The messages behind a whole range have been dealt with when it was sent.
void NetlinkSocket::collect(NetlinkBatch& batch, uint32_t base, Range range, Results& results, const OnReply& on_reply) {
  answered_.assign(range.last - range.first, false);
  bool are_answers_lost = false;
  for (;;) {
    const ssize_t got = recv(fd(), buffer_.get(), receive_chunk, MSG_DONTWAIT);
    if (got < 0 && errno == ENOBUFS) are_answers_lost = true;
    if (got < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (got <= 0) break;
    int left = static_cast<int>(got);
    const void* start = buffer_.get();
    for (auto* m = static_cast<const nlmsghdr*>(start); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      const std::size_t index = m->nlmsg_seq - base; // wraps to something large for stale answers
      if (index < range.first || index >= range.last) continue;
      if (m->nlmsg_type == NLMSG_ERROR) {
        answered_[index - range.first] = true;
        if (const int error = error_of(*m); error != 0) results.fail(index, error);
      } else if (on_reply && m->nlmsg_type >= NLMSG_MIN_TYPE) {
        on_reply(index, *m);
      }
    }
  }
  for (std::size_t i = range.first; i < range.last; ++i)
    if (!answered_[i - range.first] && (are_answers_lost || (batch.at(i)->nlmsg_flags & NLM_F_ACK) != 0))
      results.fail(i, ENOBUFS);
}

std::expected<void, std::error_code> NetlinkSocket::dump(NetlinkBatch& request, const OnMessage& on_message) {
  const uint32_t sequence = sequence_++;
  request.at(0)->nlmsg_seq = sequence;
  request.at(0)->nlmsg_flags |= NLM_F_DUMP;
  if (const int error = send_range(request, {0, 1}); error != 0) return std::unexpected(errno_code(error));
  for (;;) {
    const ssize_t got = recv(fd(), buffer_.get(), receive_chunk, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno_code(errno));
    int left = static_cast<int>(got);
    const void* start = buffer_.get();
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

// Each event is a datagram of its own; many are fetched at once. One that does not fit its share of the buffer counts as
// lost.
std::expected<void, std::error_code> NetlinkSocket::receive(const OnMessage& on_message) {
  std::array<mmsghdr, events_at_once> datagrams{};
  std::array<iovec, events_at_once> places{};
  constexpr std::size_t share = receive_chunk / events_at_once;
  for (std::size_t i = 0; i < events_at_once; ++i) {
    places[i] = {&buffer_[i * share], share};
    datagrams[i].msg_hdr.msg_iov = &places[i], datagrams[i].msg_hdr.msg_iovlen = 1;
  }
  bool is_one_lost = false;
  for (;;) {
    const int got = recvmmsg(fd(), datagrams.data(), events_at_once, MSG_DONTWAIT, nullptr);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && is_timeout(errno)) break;
    if (got < 0) return std::unexpected(errno_code(errno));
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      is_one_lost = is_one_lost || (datagrams[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
      int left = static_cast<int>(datagrams[i].msg_len);
      const void* start = places[i].iov_base;
      for (auto* m = static_cast<const nlmsghdr*>(start); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
        if (m->nlmsg_type >= NLMSG_MIN_TYPE) on_message(*m);
    }
  }
  if (is_one_lost) return std::unexpected(errno_code(ENOBUFS));
  return {};
}

std::error_code first_error(const NetlinkSocket::Results& results) {
  return results.is_well() ? std::error_code{} : errno_code(results.failures().front().error);
}

} // namespace sipalg
