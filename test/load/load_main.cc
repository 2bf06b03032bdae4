// SPDX-License-Identifier: GPL-2.0-or-later
// load_generator: one run of test/bench.
//
// How it works. Two threads, one in each namespace: the Player begins exchanges, the Responder answers them. Calls that stand
// are set up first and hung up last; both are phases of the report, beside the measured one. Every message is compared with
// what had to arrive (flows.h); what differs is `wrong`, what never came `lost`. The clock and the counters are read by the
// player's thread between its turns, so a phase's figures belong together.
#include <sys/prctl.h>

#include <cstdio>
#include <iostream>
#include <thread>

#include "test/load/report.h"
#include "test/load/responder.h"

namespace sipalg::load {
namespace {

constexpr std::chrono::milliseconds glance{10}, longest_way{1000};  // of what is still on its way

class Run {
 public:
  explicit Run(const Plan& plan)
      : plan_(plan), flows_(plan.place, plan.style, plan.expect), shared_(plan.calls), responder_(plan_, flows_, shared_),
        player_(plan_, flows_, shared_) {}

  nlohmann::ordered_json play() {
    std::jthread outside([this] { responder_.run(); });
    nlohmann::ordered_json told;
    try {
      shared_.is_ready.wait(false);
      enter_namespace(plan_.inside_namespace);
      player_.connect();
      phases(told);
    } catch (...) {
      shared_.is_over = true;
      throw;
    }
    drain();
    shared_.is_over = true;
    outside.join();
    if (plan_.rate > 0) told["latency_us"] = quantiles(latencies());
    told["faults"] = faults(shared_, player_);
    return told;
  }

 private:
  template <typename Work>
  void measured(nlohmann::ordered_json& told, const char* name, const Work& work) {
    const Snapshot before = now();
    work();
    told[name] = phase(before, now());
  }
  Snapshot now() const { return Snapshot::now(plan_, shared_, player_); }

  // The last ACKs have no answer that tells of their arrival.
  void drain() {
    for (auto waited = glance; shared_.missing() > 0 && waited < longest_way; waited += glance) std::this_thread::sleep_for(glance);
    std::this_thread::sleep_for(glance);
  }

  void phases(nlohmann::ordered_json& told) {
    bool is_in_time = true;
    if (plan_.has_standing_calls()) measured(told, "set_up", [&] { is_in_time = player_.once(plan_.set_up(), plan_.setup_seconds); });
    if (!is_in_time) return shared_.note("setting up calls took longer than --setup-seconds");
    if (plan_.workload == Workload::rtp) {
      player_.open_media();
      player_.send_media(plan_.warmup);
      measured(told, "measured", [this] { player_.send_media(plan_.seconds); });
      player_.close_media();
    } else {
      player_.repeat(plan_.measured(), plan_.warmup, plan_.rate);
      shared_.is_recording = plan_.rate > 0;
      measured(told, "measured", [this] { player_.repeat(plan_.measured(), plan_.seconds, plan_.rate); });
      shared_.is_recording = false;
      player_.finish();
    }
    if (plan_.hangs_up())
      measured(told, "tear_down", [&] { is_in_time = player_.once(plan_.tear_down(), plan_.setup_seconds); });
    if (!is_in_time) shared_.note("hanging up took longer than --setup-seconds");
  }
  std::vector<uint32_t> latencies() const {
    std::vector<uint32_t> all = shared_.outward.ns;
    all.insert(all.end(), shared_.inward.ns.begin(), shared_.inward.ns.end());
    return all;
  }

  const Plan plan_;
  Flows flows_;
  Shared shared_;
  Responder responder_;
  Player player_;
};

}  // namespace
}  // namespace sipalg::load

int main(int count, char** words) {
  using namespace sipalg::load;
  bool only_lengths = false;
  try {
    const Plan plan = parse_plan(count, words, only_lengths);
    if (only_lengths) {
      std::cout << Flows(plan.place, plan.style, Expect::padded).lengths(plan.measured().first);
      return 0;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    std::cout << Run(plan).play().dump() << "\n";
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load_generator: %s\n", error.what());
    return 1;
  }
  return 0;
}
