// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/stage.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "alg/base/shard.h"
#include "test/engine/message_checks.h"
#include "test/engine/message_text.h"

namespace sipalg::test {
namespace {

using namespace std::chrono_literals;

// Of each scenario, about. A sanitizer makes all of it ten times as slow, and looks at what code does with memory: for that some
// are enough.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t most_faults = 8, faults_among_strangers = 3;
#else
constexpr std::size_t most_faults = SIZE_MAX, faults_among_strangers = 6;
#endif
constexpr std::size_t repeated_later = 6;  // of the messages before
constexpr std::chrono::milliseconds repeated_for = 4s;

uint64_t verdicts(const Stats& stats) { return std::accumulate(stats.packets.begin(), stats.packets.end(), uint64_t{0}); }

std::string first_line(const std::string& message) { return message.substr(0, message.find('\r')); }

}  // namespace

Stage::Stage(const World::Setup& setup, Fault fault) : world(setup), fault_(fault), nat_(setup.nat) {
  fault.and_after ? world.kernel.fail_from(fault.at) : world.kernel.fail_at(fault.at);
  if (fault.among_strangers) world.gathered.set_other_work([this] { return let_stranger_come(); });
}

// An INVITE of another host of the same shard, with a door for its Contact, too. Two at most: the second comes while the first waits,
// and has that door in common with it.
bool Stage::let_stranger_come() {
  if (!strangers_may_come_ || strangers_.size() == 2) return false;
  int last = 77;
  const auto host = [&last] { return "10.0.0." + std::to_string(last); };
  while (shard_of(*parse_address(host()), World::shards()) != world.scratch.shard) ++last;
  if (!world.lets_in(host() + ":7000", "203.0.113.77:5060")) return false;
  const std::string number = std::to_string(++strangers_ever_);
  strangers_.push_back("stranger-" + number);
  (void)world.out(host() + ":7000", "203.0.113.77:5060", sip_text(with("INVITE sip:carol@203.0.113.77 SIP/2.0\n"
    "Via: SIP/2.0/UDP {host}:6060;branch=z9hG4bKstranger" + number + "\nFrom: <sip:dan@{host}>;tag=1\nTo: <sip:carol@203.0.113.77>\n"
    "Call-ID: stranger-" + number + "\nCSeq: 1 INVITE\nContact: <sip:dan@{host}:6060>\nContent-Type: application/sdp\n"
    "Content-Length: {length}\n\nv=0\no=- 1 1 IN IP4 {host}\ns=-\nc=IN IP4 {host}\nt=0 0\nm=audio " +
    std::to_string(20000 + 2 * strangers_.size()) + " RTP/AVP 0\n", "{host}", host())));
  if (world.verdict.reason != Reason::service_off) ++strangers_known_;
  return true;
}

void Stage::send_strangers_away() {
  strangers_may_come_ = false;
  for (const std::string& call_id : strangers_) world.engine.clear_call(call_id, world.now);
}

std::string Stage::play(bool out, std::string_view sender, std::string_view receiver, const std::string& message, bool& arrives) {
  const uint64_t before = verdicts(world.stats());
  strangers_.clear();
  strangers_known_ = 0;
  strangers_may_come_ = true;
  const auto arrived = out ? std::optional(world.out(sender, receiver, message)) : world.in(sender, receiver, message);
  send_strangers_away();
  arrives = arrived.has_value();
  CHECK(verdicts(world.stats()) == before + strangers_.size() + (arrives ? 1 : 0));
  return arrived.value_or("");
}

// "Every later message of that transaction gets the same treatment": the ACK to a 2xx has a branch of its own.
void Stage::follow_invite(bool out, const std::string& message, const std::string& arrived) {
  const std::string cseq = value_of(message, "CSeq"), via = value_of(message, "Via"), to = value_of(message, "To");
  const std::string call = value_of(message, "Call-ID") + " " + cseq.substr(0, cseq.find(' ')) + " ";
  const auto parameter = [](const std::string& value, const std::string& name) {
    const std::size_t at = value.find(";" + name + "=");
    return at == std::string::npos ? std::string() : value.substr(at, value.find(';', at + 1) - at);
  };
  if (out && message.starts_with("INVITE ")) invites_[call + parameter(via, "branch")] = via != value_of(arrived, "Via");
  if (!out && message.starts_with("SIP/2.0 2") && cseq.ends_with(" INVITE")) {
    const auto invite = invites_.find(call + parameter(via, "branch"));
    if (invite != invites_.end()) invites_[call + parameter(to, "tag")] = invite->second;
  }
  if (!out || !message.starts_with("ACK ")) return;
  const auto invite = invites_.find(call + parameter(to, "tag"));
  if (invite != invites_.end()) CHECK((via != value_of(arrived, "Via")) == invite->second);
}

std::string Stage::out(std::string_view inside, std::string_view remote, const std::string& message) {
  if (message.empty()) return {};
  INFO("out: " << first_line(message));
  const std::size_t refused = world.kernel.refused;
  bool arrives = false;
  const std::string arrived = play(true, inside, remote, message, arrives);
  check_groups(world, message, arrived);
  check_header_doors(world);
  check_media_doors(world, message, arrived);
  if (!nat_) CHECK(arrived == message);
  follow_invite(true, message, arrived);
  remember({true, std::string(inside), std::string(remote), message, arrived, world.now, world.kernel.refused != refused});
  return arrived;
}

std::string Stage::in(std::string_view remote, std::string_view outside, const std::string& message) {
  if (message.empty()) return {};
  INFO("in: " << first_line(message));
  const std::size_t refused = world.kernel.refused;
  bool arrives = false;
  const std::string arrived = play(false, remote, outside, message, arrives);
  if (!arrives) {
    CHECK_FALSE(works());
    return {};
  }
  if (!nat_) CHECK(arrived == message);
  follow_invite(false, message, arrived);
  remember({false, std::string(remote), std::string(outside), message, arrived, world.now, world.kernel.refused != refused});
  return arrived;
}

void Stage::repeat(const Past& past) {
  INFO("again, " << (past.out ? "out: " : "in: ") << first_line(past.message));
  const auto living = world.kernel.living;
  const std::size_t opened = world.kernel.opened;
  const report::Totals totals = world.engine.totals();
  const Trace trace = world.trace;
  const Flow flow = world.flow;
  bool arrives = false;
  const std::string arrived = play(past.out, past.sender, past.receiver, past.message, arrives);
  CHECK(arrives);
  CHECK(arrived == past.arrived);
  if (!past.refused && works()) {
    CHECK(world.kernel.opened == opened);
    CHECK(world.kernel.living == living);
  }
  CHECK(world.engine.totals().transactions == totals.transactions + strangers_known_);
  CHECK(world.engine.totals().calls == totals.calls);
  CHECK(world.engine.totals().subscriptions == totals.subscriptions);
  world.trace = trace;
  world.flow = flow;
}

void Stage::remember(Past past) {
  if (!sends_again) return;
  repeat(past);
  while (!past_.empty() && (past_.size() > repeated_later || past_.front().when + repeated_for < world.now)) past_.pop_front();
  for (const Past& older : past_) repeat(older);
  past_.push_back(std::move(past));
}

void Stage::pass_time(std::chrono::milliseconds time) { world.pass_time(time); }

void Stage::finish() {
  if (works() && !lasts) {
    pass_time(38s);  // 64*T1 after a BYE that was answered some seconds ago
    CHECK(world.doors() == 0);
    CHECK(world.engine.totals().calls + world.engine.totals().subscriptions == 0);
  }
  world.kernel.with_flow.clear();
  pass_time(50h);
  CHECK(world.doors() == 0);
  CHECK(world.kernel.closed_twice == 0);
  CHECK(world.engine.next_timer() == Instant::max());
  const report::Totals totals = world.engine.totals();
  CHECK(totals.doors == 0);
  CHECK(totals.kernel_doors == 0);
  CHECK(totals.transactions == 0);
  CHECK(totals.calls == 0);
  CHECK(totals.subscriptions == 0);
  CHECK(totals.dialogs == 0);
  CHECK(totals.registrations == 0);
  CHECK(world.engine.standing().calls == 0);
}

namespace {

std::size_t run(const World::Setup& setup, Script script, Fault fault) {
  INFO("the kernel refuses operation " << fault.at << (fault.and_after ? " and all after it" : "") << " (0: none)"
                                       << (fault.among_strangers ? ", among strangers" : ""));
  Stage stage(setup, fault);
  script(stage);
  stage.finish();
  return stage.world.kernel.operations;
}

}  // namespace

void play_sampled(const World::Setup& setup, Script script, std::size_t faults) {
  for (const bool among_strangers : {false, true}) {
    const std::size_t operations = run(setup, script, {0, false, among_strangers});
    const std::size_t most = std::min(faults, among_strangers ? faults_among_strangers : most_faults);
    const std::size_t step = std::max<std::size_t>(operations / most, 1);
    for (std::size_t n = 1; n <= operations; n += step) {
      run(setup, script, {n, false, among_strangers});
      run(setup, script, {n, true, among_strangers});
    }
  }
}

void play(const World::Setup& setup, Script script) { play_sampled(setup, script, SIZE_MAX); }

}  // namespace sipalg::test
