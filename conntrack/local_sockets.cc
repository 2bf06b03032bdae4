// SPDX-License-Identifier: GPL-2.0-or-later
// Which ports the router's own programs hold.
#include "conntrack/local_sockets.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sipalg {
socklen_t socket_address(const Endpoint& endpoint, sockaddr_storage& storage) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.family() == Family::v6) {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(endpoint.port);
    std::memcpy(&a.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&storage, &a, sizeof a);
    return sizeof a;
  }
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(endpoint.port);
  std::memcpy(&a.sin_addr, bytes.data(), bytes.size());
  std::memcpy(&storage, &a, sizeof a);
  return sizeof a;
}

namespace {

// Does a socket on this address keep others from binding `wanted`?
bool holds(const inet_diag_msg& socket, bool is_v6_only, const Address& wanted) {
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), socket.id.idiag_src, bytes.size());
  const bool is_v4 = wanted.family() == Family::v4;
  if (std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; }))
    return socket.idiag_family == (is_v4 ? AF_INET : AF_INET6) || (is_v4 && !is_v6_only);
  static constexpr std::array<uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; // RFC 4291 section 2.5.5.2
  const std::span<const uint8_t> all = bytes;
  if (socket.idiag_family == AF_INET) return is_v4 && std::ranges::equal(all.first(4), wanted.bytes());
  if (is_v4) return std::ranges::equal(all.first(12), mapped) && std::ranges::equal(all.last(4), wanted.bytes());
  return std::ranges::equal(all, wanted.bytes());
}

int find_v6_only(const nlattr* attribute, void* found) {
  if (mnl_attr_get_type(attribute) == INET_DIAG_SKV6ONLY && mnl_attr_get_payload_len(attribute) >= 1)
    *static_cast<bool*>(found) = mnl_attr_get_u8(attribute) != 0;
  return MNL_CB_OK;
}

} // namespace

bool is_bound(Protocol protocol, const Endpoint& endpoint) {
  const int family = endpoint.address.family() == Family::v6 ? AF_INET6 : AF_INET;
  const int fd = socket(family, (protocol == Protocol::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_storage storage{};
  const socklen_t length = socket_address(endpoint, storage);
  const void* address = &storage;
  const bool taken = bind(fd, static_cast<const sockaddr*>(address), length) < 0 && errno == EADDRINUSE;
  ::close(fd);
  return taken;
}

LocalSockets::LocalSockets() : socket_(NETLINK_SOCK_DIAG) {}

bool LocalSockets::find_udp(const Address& address, PortSet& ports) {
  PortSet found;
  if (!dump(Family::v6, address, found)) return false;
  if (address.family() == Family::v4 && !dump(Family::v4, address, found)) return false;
  ports = std::move(found);
  return true;
}

bool LocalSockets::dump(Family family, const Address& address, PortSet& ports) {
  NetlinkBatch request;
  nlmsghdr* m = request.begin(SOCK_DIAG_BY_FAMILY, 0, sizeof(inet_diag_req_v2));
  auto* question = static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(m, sizeof(inet_diag_req_v2)));
  question->sdiag_family = family == Family::v6 ? AF_INET6 : AF_INET;
  question->sdiag_protocol = IPPROTO_UDP;
  question->idiag_states = UINT32_MAX;
  request.end();
  return socket_.dump(request, [&](const nlmsghdr& answer) {
    if (mnl_nlmsg_get_payload_len(&answer) < sizeof(inet_diag_msg)) return;
    const auto& socket = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&answer));
    bool is_v6_only = false;
    mnl_attr_parse(&answer, sizeof(inet_diag_msg), find_v6_only, &is_v6_only);
    if (holds(socket, is_v6_only, address)) ports.set(ntohs(socket.id.idiag_sport));
  }).has_value();
}

} // namespace sipalg
