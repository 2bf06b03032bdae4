// SPDX-License-Identifier: GPL-2.0-or-later
// Three namespaces with real packets.
#include "test/conntrack/world.h"

#include <arpa/inet.h>
#include <array>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "conntrack/local_sockets.h"

namespace sipalg::test {
namespace {

// The namespace the test program was started into; where it returns between worlds.
int home() {
  static const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  return fd;
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>&1").c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe.get())) text.append(buffer.data(), got);
  return text;
}

void must(const std::string& command) {
  const std::string text = output_of(command + " || echo FAILED");
  if (text.find("FAILED") != std::string::npos) throw std::runtime_error(command + ": " + text);
}

const char* forward_rules(Firewall firewall) {
  switch (firewall) {
  case Firewall::none:
    return "";
  case Firewall::outward:
    return "ct state established,related accept; iifname lan0 oifname wan0 accept; drop";
  case Firewall::strict:
    return "ct state established,related accept; iifname lan0 udp dport 5060 accept; drop";
  }
  return "";
}

constexpr const char* topology = R"(set -e
P=$1
for n in in rt out; do
  ip netns add $P-$n; ip -n $P-$n link set lo up
  ip netns exec $P-$n sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
done
ip link add i0 netns $P-in type veth peer name lan0 netns $P-rt
ip link add o0 netns $P-out type veth peer name wan0 netns $P-rt
for f in all default; do ip netns exec $P-rt sysctl -qw net.ipv4.conf.$f.rp_filter=0; done
ip netns exec $P-rt sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
a() { ip -n $P-$1 addr add $2 dev $3 $4; }
a in 10.0.0.2/24 i0; a in 10.0.0.3/24 i0; a in fd00::2/64 i0 nodad; a in fd00::3/64 i0 nodad
a rt 10.0.0.1/24 lan0; a rt fd00::1/64 lan0 nodad; a rt 203.0.113.1/24 wan0; a rt 2001:db8::1/64 wan0 nodad
a out 203.0.113.2/24 o0; a out 203.0.113.3/24 o0; a out 2001:db8::2/64 o0 nodad; a out 2001:db8::3/64 o0 nodad
ip -n $P-in link set i0 up; ip -n $P-rt link set lan0 up; ip -n $P-rt link set wan0 up; ip -n $P-out link set o0 up
ip -n $P-in route add default via 10.0.0.1; ip -n $P-in -6 route add default via fd00::1
ip -n $P-out route add 10.0.0.0/24 via 203.0.113.1; ip -n $P-out -6 route add fd00::/64 via 2001:db8::1
mac() { ip -n $P-$1 link set $2 address 02:00:00:00:00:$3; }
mac in i0 01; mac rt lan0 02; mac rt wan0 03; mac out o0 04
n() { ip -n $P-$1 neigh replace $2 lladdr 02:00:00:00:00:$4 dev $3 nud permanent; }
n in fd00::1 i0 02; n rt fd00::2 lan0 01; n rt fd00::3 lan0 01; n rt 2001:db8::2 wan0 04; n rt 2001:db8::3 wan0 04
n out 2001:db8::1 o0 03
ip -n $P-rt route add default via 203.0.113.2; ip -n $P-rt -6 route add default via 2001:db8::2
)";

Endpoint from_kernel(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 a{};
    std::memcpy(&a, &storage, sizeof a);
    return {Address::from_bytes({a.sin6_addr.s6_addr, 16}), ntohs(a.sin6_port)};
  }
  sockaddr_in a{};
  std::memcpy(&a, &storage, sizeof a);
  std::array<uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &a.sin_addr, 4);
  return {Address::v4(bytes), ntohs(a.sin_port)};
}

} // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

UdpSocket::UdpSocket(const Endpoint& local)
    : fd_(socket(local.address.family() == Family::v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_storage storage{};
  const socklen_t length = socket_address(local, storage);
  const void* address = &storage;
  if (bind(fd_.get(), static_cast<const sockaddr*>(address), length) < 0)
    throw std::runtime_error("bind " + to_string(local) + ": " + std::strerror(errno));
}

bool UdpSocket::send(std::string_view text, const Endpoint& to) const {
  sockaddr_storage storage{};
  const socklen_t length = socket_address(to, storage);
  const void* address = &storage;
  return sendto(fd_.get(), text.data(), text.size(), 0, static_cast<const sockaddr*>(address), length) >= 0;
}

std::optional<Received> UdpSocket::receive() const {
  std::array<char, 65536> buffer{};
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  void* address = &storage;
  const ssize_t got =
      recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, static_cast<sockaddr*>(address), &length);
  if (got < 0) return {};
  return Received{std::string(buffer.data(), static_cast<std::size_t>(got)), from_kernel(storage)};
}

World::World(Firewall firewall, bool translate) {
  static int count = 0;
  home();
  prefix_ = "sipalg" + std::to_string(getpid()) + "-" + std::to_string(count++);
  must("sh -c '" + std::string(topology) + "' sh " + prefix_);
  std::string rules = "table inet fw { chain forward { type filter hook forward priority 0; policy accept; " +
                      std::string(forward_rules(firewall)) + "; }; ";
  if (translate) rules += "chain post { type nat hook postrouting priority 100; oifname wan0 masquerade; }; ";
  must("ip netns exec " + name(Side::router) + " nft '" + rules + "}'");
  enter(Side::router);
}

World::~World() {
  setns(home(), CLONE_NEWNET);
  for (const Side side : {Side::inside, Side::router, Side::outside}) output_of("ip netns del " + name(side));
}

std::string World::name(Side side) const {
  return prefix_ + (side == Side::inside ? "-in" : side == Side::router ? "-rt" : "-out");
}

void World::enter(Side side) const {
  const Fd fd(open(("/run/netns/" + name(side)).c_str(), O_RDONLY | O_CLOEXEC));
  if (setns(fd.get(), CLONE_NEWNET) < 0) throw std::runtime_error("setns " + name(side));
}

UdpSocket World::udp(Side side, std::string_view endpoint) const {
  enter(side);
  UdpSocket made(ep(endpoint));
  enter(Side::router);
  return made;
}

std::optional<TcpPair> World::connect(Side listening, std::string_view listener, Side calling, std::string_view from,
                                      std::string_view to) const {
  const auto made = [&](Side side, std::string_view local) {
    enter(side);
    Fd fd(socket(ep(local).address.family() == Family::v6 ? AF_INET6 : AF_INET,
                 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    enter(Side::router);
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage storage{};
    const socklen_t length = socket_address(ep(local), storage);
    const void* address = &storage;
    if (bind(fd.get(), static_cast<const sockaddr*>(address), length) < 0) throw std::runtime_error("bind");
    return fd;
  };
  const Fd server = made(listening, listener);
  TcpPair pair{made(calling, from), Fd(), {}};
  listen(server.get(), 1);
  sockaddr_storage storage{};
  socklen_t length = socket_address(ep(to), storage);
  void* address = &storage;
  ::connect(pair.client.get(), static_cast<const sockaddr*>(address), length);
  for (int i = 0; i < 300; ++i) {
    length = sizeof storage;
    pair.server = Fd(accept4(server.get(), static_cast<sockaddr*>(address), &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
    pair.seen = pair.server.get() >= 0 ? from_kernel(storage) : Endpoint{};
    if (pair.server.get() >= 0) return pair;
    idle(std::chrono::milliseconds{1});
  }
  return std::nullopt;
}

std::string World::tcp(Side listening, std::string_view listener, Side calling, std::string_view from,
                       std::string_view to) const {
  const auto pair = connect(listening, listener, calling, from, to);
  return pair ? to_string(pair->seen) : "nothing";
}

std::string World::read(const Fd& end, std::chrono::milliseconds patience) const {
  std::array<char, 4096> buffer{};
  for (std::chrono::milliseconds waited{0}; waited < patience; ++waited) {
    const auto size = ::read(end.get(), buffer.data(), buffer.size());
    if (size > 0) return {buffer.data(), static_cast<std::size_t>(size)};
    if (size == 0) return "closed";
    if (errno != EAGAIN) return errno == ECONNRESET ? "reset" : "error";
    idle(std::chrono::milliseconds{1});
  }
  return "";
}

std::string World::run(Side side, const std::string& command) const {
  return output_of("ip netns exec " + name(side) + " sh -c '" + command + "'");
}

std::optional<Received> World::receive(const UdpSocket& socket, std::chrono::milliseconds patience) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  do {
    if (auto received = socket.receive()) return received;
    if (pump) pump();
    std::this_thread::sleep_for(std::chrono::microseconds{300});
  } while (std::chrono::steady_clock::now() < end);
  return {};
}

void World::idle(std::chrono::milliseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    if (pump) pump();
    std::this_thread::sleep_for(std::chrono::microseconds{500});
  }
}

std::string describe(const std::optional<Received>& received) {
  return received ? received->text + " from " + to_string(received->from) : "nothing";
}

Endpoint ep(std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint) throw std::runtime_error("not an endpoint: " + std::string(text));
  return *endpoint;
}

} // namespace sipalg::test
