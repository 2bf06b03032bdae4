// SPDX-License-Identifier: GPL-2.0-or-later
// Two workers with calls of their own, one after the other; test/cost/shared_lines looks at where each of them writes.
//
// Each worker handles messages of known calls between two stores to `mark`, which nothing else is as wide as.
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "alg/base/shard.h"
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "conntrack/shared_door_keeper.h"
#include "test/cost/office.h"
#include "test/fake/willing_keeper.h"
#include "test/load/messages.h"

namespace {

// The processor's longest number: ten bytes at once.
alignas(64) volatile long double mark = 0;

}  // namespace

namespace sipalg::load {
namespace {

constexpr uint32_t workers = 2;
constexpr uint64_t calls = 3, first_cseq = 1'000'001;

std::string host_of(uint32_t worker) {
  for (int i = 2; i < 255; ++i)
    if (const std::string host = "10.0.0." + std::to_string(i); shard_of(*parse_address(host), workers) == worker) return host;
  throw std::runtime_error("no host has this worker");
}

class Side {
 public:
  Side(Engine& engine, uint32_t worker)
      : engine_(engine), worker_(worker), host_(host_of(worker)), port_(static_cast<uint16_t>(20'000 + worker)), scratch_(worker) {}

  void begin_calls() {
    for (Kind kind : {Kind::invite, Kind::trying, Kind::ringing, Kind::answer, Kind::ack}) round(kind);
    requests();  // all memory is there, then
    step_++;
    prepared_.clear();
    for (Kind kind : kinds)
      for (uint64_t call = 0; call < calls; ++call) prepared_.push_back(make(kind, call));
  }
  void handle_prepared() {
    for (const Prepared& message : prepared_) {
      const Verdict verdict = engine_.handle({message.sent, message.flow}, now_, scratch_);
      if ((verdict.edited() ? verdict.bytes : std::string_view(message.sent)) != message.due) wrong_ = true;
      engine_.tick_shard(worker_, now_, 64);
    }
  }
  bool is_wrong() const { return wrong_; }

 private:
  struct Prepared {
    std::string sent, due;
    Flow flow;
  };
  static constexpr std::array kinds{Kind::info, Kind::info_ok, Kind::reinvite, Kind::answer, Kind::ack};

  Prepared make(Kind kind, uint64_t call) const {
    const bool out = leaves_inside(kind);
    const Ends inside{host_, port_, "203.0.113.2", 5060}, outside{"203.0.113.1", port_, "203.0.113.2", 5060};
    const uint64_t named = worker_ * 1000 + call;
    const Values values{named, named * 100 + step_, first_cseq + step_, 10000 + 2 * call + 1000 * worker_};
    const Style style{"UDP", false};
    const FlowEnd phone{{*parse_address(host_), port_}, {*parse_address("203.0.113.1"), port_}};
    const FlowEnd provider{*parse_endpoint("203.0.113.2:5060"), *parse_endpoint("203.0.113.2:5060")};
    return {Template(marked_text(kind, style, out ? inside : outside, out ? inside : outside)).text(values),
            Template(marked_text(kind, style, out ? inside : outside, out ? outside : inside)).text(values),
            {Protocol::udp, out ? phone : provider, out ? provider : phone, 0, out, false}};
  }
  void round(Kind kind) {
    for (uint64_t call = 0; call < calls; ++call) {
      prepared_ = {make(kind, call)};
      handle_prepared();
    }
  }
  void requests() {
    ++step_;
    for (Kind kind : kinds) round(kind);
    now_ += std::chrono::seconds{40};
    engine_.tick_shard(worker_, now_, SIZE_MAX);
  }

  Engine& engine_;
  uint32_t worker_;
  std::string host_;
  uint16_t port_;
  Scratch scratch_;
  Instant now_{std::chrono::hours{1}};
  uint64_t step_ = 0;
  std::vector<Prepared> prepared_;
  bool wrong_ = false;
};

int run() {
  test::WillingKeeper willing;
  SharedDoorKeeper keeper(willing);
  Engine engine(office_policy(), keeper, 7, workers);
  bool is_wrong = false;
  std::function<void(uint32_t)> with_worker = [&](uint32_t number) {
    Side side(engine, number);  // on this thread's stack
    side.begin_calls();
    // Both stand before one is looked at.
    if (number + 1 < workers) std::thread(with_worker, number + 1).join();
    mark = number + 1;
    side.handle_prepared();
    mark = 0;
    is_wrong = is_wrong || side.is_wrong();
  };
  std::thread(with_worker, 0).join();
  if (is_wrong) std::fprintf(stderr, "a message came out wrong\n");
  return is_wrong ? 1 : 0;
}

}  // namespace
}  // namespace sipalg::load

int main() { return sipalg::load::run(); }
