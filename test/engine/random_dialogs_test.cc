// SPDX-License-Identifier: GPL-2.0-or-later
// Random calls beside each other, whatever their ends do that the RFCs let them do: what they announced leads to them as long as it
// stands, what comes back is as it was written (party.h, stage.h), and nothing is left.
// SIPALG_DIALOGS: so many worlds instead of a few; SIPALG_DIALOGS_FROM: the first seed.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>

#include "test/engine/parties.h"
#include "test/engine/random_dialog.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

uint32_t number_of(const char* name, uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? static_cast<uint32_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

struct Host {
  Party party;
  std::string media;  // where its media is
  MediaPorts ports;
};

// Phones whose ports are the same, a proxied one, and who is outside.
struct Hosts {
  std::vector<Host> inside{{alice, "10.0.0.2", MediaPorts{4000}}, {carol, "10.0.0.3", MediaPorts{4000}}, {proxied_alice, "10.0.0.2", MediaPorts{5000}}};
  std::vector<Host> outside{{bob, "203.0.113.3", MediaPorts{30000}}, {proxied_bob, "203.0.113.4", MediaPorts{30000}}, {bob, "203.0.113.2", MediaPorts{4000}}};
  Host inside6{{.user = "alice", .agent = "[fd00::2]:5060"}, "fd00::2", MediaPorts{4000}};
  Host outside6{{.user = "bob", .agent = "[2001:db8:1::2]:5060"}, "2001:db8:1::3", MediaPorts{30000}};
};

Party named(Party party, const std::string& number) {
  party.user += number;
  return party;
}

class Play {
 public:
  Play(Stage& stage, uint32_t seed) : stage_(stage), random_(seed) {
    stage_.world.keep_hosts_apart();
    stage_.sends_again = !one_in(random_, 3);
    for (int i = 0; i < 4; ++i)
      if (one_in(random_, 2)) stage_.world.kernel.taken.insert({*parse_address("203.0.113.1"), static_cast<uint16_t>(4000 + 2 * (random_() % 10))});
  }
  void run() {
    const auto calls = 1 + random_() % 6;
    while (made_ < calls || !living_.empty()) {
      if (made_ < calls && (living_.empty() || one_in(random_, 6))) begin_call();
      RandomDialog& one = *living_[random_() % living_.size()];
      one.step();
      for (const auto& call : living_) call->check_media();
      something_else();
      std::erase_if(living_, [](const auto& call) { return call->has_ended(); });
      set_flows();
    }
    finish();
  }

 private:
  void begin_call() {
    const std::string number = std::to_string(++made_);
    const bool v6 = one_in(random_, 6), calls_in = one_in(random_, 3);
    Host& in = v6 ? hosts_.inside6 : hosts_.inside[random_() % (calls_in ? 2 : 3)];
    Host& out = v6 ? hosts_.outside6 : hosts_.outside[random_() % 3];
    const Party phone = named(in.party, number), peer = named(out.party, number);
    const std::string call_id = one_in(random_, 4) ? "same" : "call" + number;
    Host &from = calls_in ? out : in, &to = calls_in ? in : out;
    std::optional<Enrolled> known;
    if (calls_in) {
      known = enroll(stage_, phone, peer, 36'000, "reg" + number);
      registered_.push_back({phone, peer, "reg" + number});
      if (known->contact.empty()) return;
    }
    living_.push_back(std::make_unique<RandomDialog>(
        stage_, random_, RandomDialog::Ends{calls_in ? peer : phone, calls_in ? phone : peer, from.media, to.media, from.ports, to.ports, call_id}));
    living_.back()->call.caller_tag = "a" + number;
    living_.back()->call.callee_tag = "b" + number;
    if (known) living_.back()->call.to(known->contact, known->routes);
  }
  void something_else() {
    const bool all_quiet = std::ranges::all_of(living_, [](const auto& call) { return call->is_quiet(); });
    set_flows();
    if (one_in(random_, 3)) stage_.pass_time(std::chrono::milliseconds{random_() % 300});
    if (all_quiet && one_in(random_, 3)) stage_.pass_time(std::chrono::seconds{random_() % 300});
    if (all_quiet && one_in(random_, 10)) stage_.pass_time(std::chrono::minutes{random_() % (all_speak() ? 180 : 50)});
    if (made_ == 1 && one_in(random_, 6)) stage_.world.forget_flows();  // of several hosts one may get the other's: uplink_test.cc
    if (all_quiet && one_in(random_, 8) && World::shards() == 1) lose_address();  // in shards two hosts' doors on one endpoint do not return
  }
  // PPP goes down and comes up: all doors are there again.
  void lose_address() {
    const Address address = *parse_address(stage_.world.uplink);
    const std::size_t doors = stage_.world.doors();
    stage_.world.engine.outside_address_lost(address);
    stage_.world.engine.outside_address_returned(address);
    CHECK(stage_.world.doors() == doors);
  }
  bool all_speak() const {
    return std::ranges::all_of(living_, [](const auto& call) {
      std::set<Endpoint> flows;
      call->add_flows(flows);
      return !flows.empty();
    });
  }
  void set_flows() {
    stage_.world.kernel.with_flow.clear();
    for (const auto& call : living_) call->add_flows(stage_.world.kernel.with_flow);
  }
  void finish() {
    for (const auto& [phone, peer, call_id] : registered_) enroll(stage_, phone, peer, 0, call_id + "x");
    stage_.finish();
  }

  struct Registered {
    Party phone, peer;
    std::string call_id;
  };
  Stage& stage_;
  Random random_;
  Hosts hosts_;
  std::size_t made_ = 0;
  std::vector<std::unique_ptr<RandomDialog>> living_;
  std::vector<Registered> registered_;
};

void play_world(uint32_t seed) {
  CAPTURE(seed);
  Random random(seed * 7919 + 1);
  World::Setup setup;
  setup.nat = !one_in(random, 5);
  Stage stage(setup, {});
  Play(stage, seed).run();
}

}  // namespace

TEST_CASE("random calls beside each other reach each other and leave nothing") {
  const uint32_t first = number_of("SIPALG_DIALOGS_FROM", 1), worlds = number_of("SIPALG_DIALOGS", 100);
  for (uint32_t seed = first; seed < first + worlds; ++seed) play_world(seed);
}
