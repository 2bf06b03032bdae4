// SPDX-License-Identifier: GPL-2.0-or-later
// One kind of message through the engine, in dialogs that are known: to be counted by callgrind, and by the allocations
// it makes itself.
//
//     message_cost memory          prints what a call that stands takes
//     message_cost KIND            plays `calls` messages of that kind, prints the allocations and bytes of one
//     valgrind --tool=callgrind --toggle-collect='sipalg_measured*' message_cost KIND
//     callgrind_annotate callgrind.out.PID
//
// How it works. Everything up to the message is played first: each of the calls is set up, its request sent. Then the
// messages to be measured go through one function with a name of its own, at which callgrind switches counting on and off,
// and during which the allocations are counted. The kernel is a keeper that says yes, so doors cost what they cost here.
// test/cost/check compares with test/cost/recorded.json.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <new>
#include <stdexcept>

#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "test/cost/office.h"
#include "test/fake/willing_keeper.h"
#include "test/load/messages.h"

namespace {
std::size_t allocations = 0;
bool is_counting = false;

void* allocate(std::size_t bytes) {
  if (is_counting) ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

// callgrind finds it by this name
[[gnu::noinline]] sipalg::Verdict sipalg_measured(sipalg::Engine& engine, const sipalg::SipDatagram& datagram, sipalg::Instant now,
                                                  sipalg::Scratch& scratch) {
  is_counting = true;
  const sipalg::Verdict verdict = engine.handle(datagram, now, scratch);
  is_counting = false;
  return verdict;
}

namespace sipalg::load {
namespace {

constexpr uint64_t calls = 60, first_cseq = 1'000'001;

// A phone behind masquerade and its provider; what each writes and what the other must get.
class Cost {
 public:
  explicit Cost(bool large) : engine_(office_policy(), keeper_), style_{"UDP", large} {}

  // How many bytes the message has; throws when the engine does not do its work.
  std::size_t play(Kind kind, uint64_t call, bool measured = false) {
    const bool out = leaves_inside(kind);
    const Ends inside{"10.0.0.2", 20000, "203.0.113.2", 5060}, outside{"203.0.113.1", 20000, "203.0.113.2", 5060};
    const Values values{call, call * 100 + step_, first_cseq + step_, 10000 + 2 * call};
    const std::string sent = Template(marked_text(kind, style_, out ? inside : outside, out ? inside : outside)).text(values);
    const std::string due = Template(marked_text(kind, style_, out ? inside : outside, out ? outside : inside)).text(values);
    const SipDatagram datagram{sent, flow(out)};
    const Verdict verdict = measured ? sipalg_measured(engine_, datagram, now_, scratch_) : engine_.handle(datagram, now_, scratch_);
    const std::string_view left = verdict.edited() ? verdict.bytes : std::string_view(sent);
    if (left != due) throw std::runtime_error(std::string(name_of(kind)) + " came out wrong:\n" + std::string(left) + "instead of\n" + due);
    now_ += std::chrono::milliseconds{10};
    engine_.tick(now_);
    return sent.size();
  }
  void next_request() { ++step_; }
  void pass_time(std::chrono::milliseconds time) {
    now_ += time;
    engine_.tick(now_);
  }

 private:
  static Flow flow(bool out) {
    const FlowEnd phone{*parse_endpoint("10.0.0.2:20000"), *parse_endpoint("203.0.113.1:20000")};
    const FlowEnd provider{*parse_endpoint("203.0.113.2:5060"), *parse_endpoint("203.0.113.2:5060")};
    return {Protocol::udp, out ? phone : provider, out ? provider : phone, 0, out, false};
  }
  test::WillingKeeper keeper_;
  Engine engine_;
  Scratch scratch_;
  Style style_;
  Instant now_{std::chrono::hours{1}};
  uint64_t step_ = 0;
};

// What is played before the measured message, in every call.
struct Subject {
  std::vector<Kind> before, request;
  Kind measured;
  bool large;
};

constexpr std::chrono::seconds long_enough{40};  // for transactions to end

const std::map<std::string, Subject, std::less<>>& subjects() {
  static const std::vector<Kind> call{Kind::invite, Kind::trying, Kind::ringing, Kind::answer, Kind::ack};
  static const std::map<std::string, Subject, std::less<>> all{
      {"invite-known", {call, {}, Kind::reinvite, true}},
      {"invite-new", {{}, {}, Kind::invite, true}},
      {"answer-known", {call, {Kind::reinvite}, Kind::answer, false}},
      {"response-known", {call, {Kind::info}, Kind::info_ok, false}},
      {"info-known", {call, {}, Kind::info, false}},
      {"bye", {call, {}, Kind::bye, false}},
      {"bye-answered", {call, {Kind::bye}, Kind::bye_ok, false}},
      {"refresh-known", {{Kind::refresh, Kind::refresh_ok}, {}, Kind::refresh, false}},
  };
  return all;
}

void measure(const Subject& subject) {
  Cost cost(subject.large);
  // once more than is measured, so that buffers have grown
  for (uint64_t call = 0; call <= calls; ++call)
    for (Kind kind : subject.before) cost.play(kind, call);
  // In a dialog records come and go: their places have been used before, and keep the memory of their lists.
  if (!subject.before.empty() && subject.measured != Kind::bye && subject.measured != Kind::bye_ok) {
    cost.next_request();
    for (uint64_t call = 0; call <= calls; ++call) {
      for (Kind kind : subject.request) cost.play(kind, call);
      cost.play(subject.measured, call);
    }
    cost.pass_time(long_enough);
  }
  cost.next_request();
  std::size_t bytes = 0;
  for (uint64_t call = 0; call <= calls; ++call) {
    for (Kind kind : subject.request) cost.play(kind, call);
    bytes = cost.play(subject.measured, call, call > 0);
  }
  std::printf("{\"messages\": %llu, \"bytes\": %zu, \"allocations\": %.2f}\n", static_cast<unsigned long long>(calls), bytes,
              static_cast<double>(allocations) / static_cast<double>(calls));
}

// The memory of calls that stand, when all their transactions have ended.
void measure_memory() {
  constexpr uint64_t standing = 4000;  // of one inside host
  Cost cost(false);
  const auto before = mallinfo2().uordblks;
  for (uint64_t call = 0; call < standing; ++call)
    for (Kind kind : {Kind::invite, Kind::trying, Kind::ringing, Kind::answer, Kind::ack}) cost.play(kind, call);
  cost.pass_time(long_enough);
  std::printf("{\"bytes_per_call\": %zu}\n", (mallinfo2().uordblks - before) / standing);
}

}  // namespace
}  // namespace sipalg::load

int main(int count, char** words) {
  if (count == 2 && std::string_view(words[1]) == "memory") return sipalg::load::measure_memory(), 0;
  const auto& subjects = sipalg::load::subjects();
  const auto chosen = count == 2 ? subjects.find(std::string_view(words[1])) : subjects.end();
  if (chosen == subjects.end()) {
    std::fprintf(stderr, "usage: message_cost KIND, KIND being one of");
    for (const auto& [name, subject] : subjects) std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  try {
    sipalg::load::measure(chosen->second);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
