// SPDX-License-Identifier: GPL-2.0-or-later
// What the doors of calls cost: plays them through the keeper as the engine does, against the real kernel in a namespace
// of its own, and prints microseconds of CPU per call. Not a test; needs root.
//
//     door_cost [--calls N] [--living N] [--batch N] [--together 0]
//
// A call: two media ports asked for and opened by its INVITE, two ways out by its 200, all four closed by its end.
// `batch` calls take each step together, as the messages of one receive do, and ask for their doors at once unless `together`
// is 0; `living` calls stay open meanwhile.
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <malloc.h>
#include <map>
#include <string>
#include <vector>

#include "conntrack/nf_door_keeper.h"
#include "test/conntrack/world.h"

namespace sipalg::test {
namespace {

using Micros = std::chrono::duration<double, std::micro>;
using Clock = std::chrono::steady_clock;

Instant now() { return Instant{std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())}; }

struct Cpu {
  double user = 0, system = 0;
  static Cpu used() {
    rusage r{};
    getrusage(RUSAGE_SELF, &r);
    const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec); };
    return {of(r.ru_utime), of(r.ru_stime)};
  }
};

// Adds up what a step costs; a step is one batch's, so that the clock's ticks do not matter.
struct Step {
  const char* name;
  double user = 0, system = 0;
  template <typename F> void run(F&& f) {
    const Cpu before = Cpu::used();
    f();
    const Cpu after = Cpu::used();
    user += after.user - before.user, system += after.system - before.system;
  }
  void print(double calls) const {
    std::printf("%-12s user %7.2f  system %7.2f  sum %7.2f us/call\n", name, user / calls, system / calls, (user + system) / calls);
  }
};

struct Call {
  std::array<DoorHandle, 4> doors{};
};

class Player {
 public:
  Player(std::size_t living, bool together) : together_(together), living_(living) {}

  void play(std::size_t calls) {
    std::vector<Call> batch(calls);
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < calls; ++i) numbers.push_back(next_++);
    invites_.run([&] {
      for (std::size_t i = 0; i < calls; ++i) invite(batch[i], numbers[i]);
      open_wishes();
    });
    answers_.run([&] {
      for (std::size_t i = 0; i < calls; ++i) answer(batch[i], numbers[i]);
      open_wishes();
    });
    for (const Call& call : batch) open_.push_back(call);
    ends_.run([&] {
      for (; open_.size() > living_; open_.pop_front()) keeper_.close(open_.front().doors);
      flush();
    });
    events_.run([&] {
      keeper_.on_events();
      if (now() < keeper_.next_tick()) return;
      const auto start = Clock::now();
      keeper_.tick(now());
      longest_tick_ = std::max(longest_tick_, Micros(Clock::now() - start).count());
    });
  }
  // Until nothing is left to do but refreshes.
  void settle() {
    const auto end = Clock::now() + std::chrono::seconds{3};
    while (Clock::now() < end) {
      keeper_.on_events();
      keeper_.tick(now());
      usleep(1000);
    }
  }
  void forget_costs() { invites_ = {"INVITE"}, answers_ = {"200"}, ends_ = {"end"}, events_ = {"events, tick"}, longest_tick_ = 0; }
  void print(std::size_t calls) const {
    Step all{"all"};
    for (const Step* step : {&invites_, &answers_, &ends_, &events_}) {
      step->print(static_cast<double>(calls));
      all.user += step->user, all.system += step->system;
    }
    all.print(static_cast<double>(calls));
    std::printf("longest tick %.0f us, doors %zu, anchors %zu, refused %zu, not free %zu\n", longest_tick_, keeper_.door_count(), keeper_.anchor_count(),
                refused_, taken_);
  }

 private:
  static constexpr std::array<uint8_t, 2> inside_network{10, 0}, outside_network{203, 0}, remote_network{198, 51};
  static Endpoint at(std::array<uint8_t, 2> network, std::size_t host, std::size_t port) {
    return {Address::v4({network[0], network[1], static_cast<uint8_t>(host >> 8), static_cast<uint8_t>(host)}), static_cast<uint16_t>(port)};
  }
  static std::size_t place(std::size_t number) { return number % (30'000 * 250); }
  // Ports of one address serve 30,000 calls.
  static Endpoint end(std::array<uint8_t, 2> network, std::size_t number, std::size_t offset) {
    return at(network, 2 + place(number) / 30'000, 4000 + 2 * (place(number) % 30'000) + offset);
  }
  void invite(Call& call, std::size_t number) {
    std::array<KernelDoor, 2> doors;
    for (std::size_t i = 0; i < 2; ++i) {
      doors[i].inside = end(inside_network, number, i);
      doors[i].outside = end(outside_network, number, i);
      if (!keeper_.is_free(doors[i].protocol, doors[i].outside, doors[i].inside)) ++taken_;
    }
    ask(doors, std::span(call.doors).first(2), 0);
  }
  void answer(Call& call, std::size_t number) {
    std::array<KernelDoor, 2> doors;
    for (std::size_t i = 0; i < 2; ++i) {
      doors[i].kind = KernelDoor::Kind::way_out;
      doors[i].inside = {end(inside_network, number, i).address, 0};
      doors[i].outside = end(remote_network, number, i);
    }
    ask(doors, std::span(call.doors).last(2), call.doors[0]);
  }
  void ask(const std::array<KernelDoor, 2>& doors, std::span<DoorHandle> handles, DoorHandle sibling) {
    Asked& asked = asked_.emplace_back();
    asked.doors = doors;
    asked.wish = {asked.doors, handles, sibling, {}};
    if (!together_) open_wishes();
  }
  void open_wishes() {
    std::vector<DoorKeeper::Wish*> wishes;
    for (Asked& asked : asked_) wishes.push_back(&asked.wish);
    keeper_.open_all(wishes);
    for (const Asked& asked : asked_) refused_ += asked.wish.result->has_value() ? 0 : 1;
    asked_.clear();
  }
  void flush() { keeper_.flush(); }

  struct Asked {
    std::array<KernelDoor, 2> doors;
    DoorKeeper::Wish wish;
  };

  World world_{Firewall::outward};
  Steering steering_{[] {
    SteeringOptions options;
    options.manual = true;
    return options;
  }()};
  NfDoorKeeper keeper_{steering_, [] {
    NfDoorKeeperOptions options;
    options.has_thread = true;
    return options;
  }()};
  std::deque<Call> open_;
  std::deque<Asked> asked_;
  bool together_;
  std::size_t living_, next_ = 0, refused_ = 0, taken_ = 0;
  Step invites_{"INVITE"}, answers_{"200"}, ends_{"end"}, events_{"events, tick"};
  double longest_tick_ = 0;
};

} // namespace
} // namespace sipalg::test

int main(int argc, char* argv[]) {
  if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) return 77;
  std::map<std::string, std::size_t> options{{"--calls", 3000}, {"--living", 0}, {"--batch", 8}, {"--together", 1}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = static_cast<std::size_t>(std::atol(argv[i + 1]));
  const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  sipalg::test::Player player(options["--living"], options["--together"] != 0);
  const std::size_t batch = options["--batch"];
  for (std::size_t played = 0; played < options["--living"] + 10 * batch; played += batch) player.play(batch);
  player.settle();
  std::printf("memory of the living: %zu KiB\n", (mallinfo2().uordblks + mallinfo2().hblkhd - before) / 1024);
  player.forget_costs();
  std::size_t played = 0;
  for (; played < options["--calls"]; played += batch) player.play(batch);
  player.print(played);
}
