// SPDX-License-Identifier: GPL-2.0-or-later
// The stream table between two ends that nobody here wrote: Linux' own TCP, in two network namespaces, over two TUN devices.
// What the model ends only assume is real here: Nagle, the first window of ten segments, delayed acknowledgements, tail loss
// probes, SACK recovery, the limit on answers to old segments (half.h, "Taking over").
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "alg/stream/stream_table.h"
#include "test/stream/bench.h"

using namespace sipalg;
using Clock = std::chrono::steady_clock;

namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::system_error(errno, std::generic_category(), what);
}

void set_address(int socket, unsigned long request, ifreq& device, const char* address) {
  auto* target = reinterpret_cast<sockaddr_in*>(request == SIOCSIFADDR ? &device.ifr_addr : &device.ifr_netmask);
  *target = {};
  target->sin_family = AF_INET;
  inet_pton(AF_INET, address, &target->sin_addr);
  require(ioctl(socket, request, &device) == 0, "address");
}

// A namespace of its own with one TUN device; `run` works in it.
class Host {
 public:
  explicit Host(const char* address) {
    std::thread([&] {
      require(unshare(CLONE_NEWNET) == 0, "unshare");
      space_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
      tun_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
      ifreq device{};
      device.ifr_flags = IFF_TUN | IFF_NO_PI;
      require(tun_ >= 0 && ioctl(tun_, TUNSETIFF, &device) == 0, "tun");
      const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      set_address(socket, SIOCSIFADDR, device, address);
      set_address(socket, SIOCSIFNETMASK, device, "255.255.255.0");
      device.ifr_flags = IFF_UP;
      require(ioctl(socket, SIOCSIFFLAGS, &device) == 0, "up");
      close(socket);
    }).join();
  }
  ~Host() { close(tun_), close(space_); }
  template <typename Work> void run(Work&& work) const {
    std::thread([&] {
      require(setns(space_, CLONE_NEWNET) == 0, "setns");
      work();
    }).join();
  }
  int tun() const { return tun_; }

 private:
  int space_ = -1, tun_ = -1;
};

// Carries packets from one device to the other, through the table; loses some on each side of it.
class Router : StreamOutlet, StreamEditor {
 public:
  Router(const Host& a, const Host& b, double loss) : devices_{a.tun(), b.tun()}, loss_(loss), thread_([this] { work(); }) {}
  ~Router() override {
    stop_ = true;
    thread_.join();
  }

 private:
  struct Pending {
    int to;
    std::vector<uint8_t> packet;
  };
  bool is_lost() { return loss_ > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < loss_; }
  void leave(int to, std::span<const uint8_t> packet) {
    if (!is_lost()) static_cast<void>(!write(devices_[to], packet.data(), packet.size()));
  }
  void accept(Ticket ticket) override {
    const auto pending = pending_.extract(ticket);
    leave(pending.mapped().to, pending.mapped().packet);
  }
  void accept(Ticket ticket, std::span<const uint8_t> packet) override { leave(pending_.extract(ticket).mapped().to, packet); }
  void drop(Ticket ticket) override { pending_.erase(ticket); }
  bool begin_guarding(const Flow&) override { return true; }
  void end_guarding(const StreamKey&) override {}
  bool is_alive(const StreamKey&) override { return true; }
  EditedMessage edit(std::string_view held, std::size_t, const Flow&, const MayBecome& may_become, Instant) override {
    text_ = test::Bench::edited(held);
    return {text_ != held && may_become(text_.size()) == Reason::edited, text_};
  }
  static Instant now() { return Instant{std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())}; }

  void take(int from, std::span<const uint8_t> packet) {
    const auto view = view_datagram(packet);
    if (!view || view->protocol != Protocol::tcp || is_lost()) return;
    Flow flow;
    flow.protocol = Protocol::tcp;
    flow.sender = {view->source, view->source};
    flow.receiver = {view->destination, view->destination};
    flow.begun_by_sender = from == 0;
    pending_[++ticket_] = {1 - from, {packet.begin(), packet.end()}};
    table_.handle(ticket_, *view, flow, 1500, now());
  }
  void work() {
    std::array<uint8_t, 65'536> buffer;
    while (!stop_) {
      pollfd ready[2] = {{devices_[0], POLLIN, 0}, {devices_[1], POLLIN, 0}};
      const auto wait = table_.next_timer() == Instant::max() ? 20 : std::clamp<int64_t>((table_.next_timer() - now()).count(), 0, 20);
      poll(ready, 2, static_cast<int>(wait));
      for (int from : {0, 1})
        for (ssize_t size; (size = read(devices_[from], buffer.data(), buffer.size())) > 0;)
          take(from, std::span(buffer).first(static_cast<std::size_t>(size)));
      table_.tick(now());
    }
  }

  int devices_[2];
  double loss_;
  std::mt19937 random_{1};
  std::map<Ticket, Pending> pending_;
  Ticket ticket_ = 0;
  std::string text_;
  Stats stats_;
  StreamTable table_{*this, *this, nullptr, stats_};
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

sockaddr_in server_address() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(5060);
  inet_pton(AF_INET, "10.77.0.2", &address.sin_addr);
  return address;
}

struct Ends {
  int a = -1, b = -1;
  ~Ends() { close(a), close(b); }
};

void connect_ends(const Host& inside, const Host& outside, Ends& ends) {
  int listener = -1;
  const sockaddr_in address = server_address();
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  outside.run([&] { listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  require(bind(listener, where, sizeof address) == 0 && listen(listener, 1) == 0, "listen");
  inside.run([&] { ends.a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  require(connect(ends.a, where, sizeof address) == 0, "connect");
  ends.b = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  close(listener);
  timeval patience{20, 0};
  setsockopt(ends.b, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

std::string message(std::size_t more) {
  const std::string body = "v=0\r\nc=IN IP4 10.0.0.2\r\n" + std::string(more, 'x');
  return "INVITE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK1\r\nContent-Type: application/sdp\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Case {
  const char* name;
  std::vector<std::string> writes;
  std::string expected;
  bool has_nagle;
  double loss;
  int most_milliseconds;
};

void play(const Case& one) {
  const Host inside("10.77.0.1"), outside("10.77.0.2");
  const Router router(inside, outside, one.loss);
  Ends ends;
  connect_ends(inside, outside, ends);
  const int no_delay = one.has_nagle ? 0 : 1;
  setsockopt(ends.a, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
  const auto begin = Clock::now();
  std::thread writer([&] {
    for (const std::string& piece : one.writes) static_cast<void>(!write(ends.a, piece.data(), piece.size()));
  });
  std::string received(one.expected.size(), '\0');
  std::size_t size = 0;
  for (ssize_t got; size < received.size() && (got = read(ends.b, received.data() + size, received.size() - size)) > 0;) size += static_cast<std::size_t>(got);
  writer.join();
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
  std::printf("%s: %ld ms\n", one.name, time);
  CHECK(size == one.expected.size());
  CHECK((received == one.expected));
  CHECK(time <= one.most_milliseconds);
}

std::vector<std::string> bytes_of(const std::string& text) {
  std::vector<std::string> bytes;
  for (char c : text) bytes.emplace_back(1, c);
  return bytes;
}

}  // namespace

TEST_CASE("between two Linux ends") {
  const std::string small = message(0), large = message(50'000);
  std::vector<std::string> many;
  std::string all;
  for (int i = 0; i < 100; ++i) {
    many.push_back(message(1200));
    all += test::Bench::edited(many.back());
  }
  // the times leave a loaded machine its share; a Linux sender's own timer would come after 200 ms
  for (const Case& one : {
           Case{"one message", {small}, test::Bench::edited(small), false, 0, 150},
           Case{"two writes, Nagle", {small.substr(0, 60), small.substr(60)}, test::Bench::edited(small), true, 0, 180},
           Case{"each byte by itself", bytes_of(small), test::Bench::edited(small), false, 0, 1000},
           Case{"each byte by itself, Nagle", bytes_of(small), test::Bench::edited(small), true, 0, 1000},
           Case{"50 KB, larger than the first window", {large}, test::Bench::edited(large), false, 0, 1000},
           Case{"100 messages", many, all, false, 0, 2000},
           Case{"100 messages, 2 % lost on each side", many, all, false, 0.02, 20'000},
           Case{"50 KB, 2 % lost on each side", {large}, test::Bench::edited(large), false, 0.02, 20'000},
       }) {
    INFO(one.name);
    play(one);
  }
}
