// SPDX-License-Identifier: GPL-2.0-or-later
// Several threads share one engine. Each handles messages of any inside host, so that every lock is met by others, and while an
// INVITE waits for its doors it handles whole calls of others, as far as the engine lets them in: messages leave as they must, and
// no two hosts ever have one outside endpoint. Runs under ThreadSanitizer, too.
#include <atomic>
#include <barrier>
#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "conntrack/shared_door_keeper.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

constexpr uint32_t threads = 4, hosts_of_thread = 6, rounds = 40;
const Endpoint provider = *parse_endpoint("203.0.113.2:5060");
const Address router = *parse_address("203.0.113.1");

Policy policy() {
  Policy p;
  p.inside = {*parse_network("10.0.0.0/16")};
  p.router = {router};
  p.pbx = {*parse_network("10.0.0.0/16")};  // everybody may name everybody
  return p;
}

// One thread's phones and calls. What goes wrong is counted: Catch's own checks are no thread's.
class Caller {
 public:
  Caller(Engine& engine, uint32_t number) : engine_(engine), number_(number) {
    for (uint32_t i = 0; i < most_at_once; ++i) scratches_.emplace_back(number);
  }
  void run() {
    SharedDoorKeeper::set_other_work([this] { return waits_ && depth_ < most_at_once && lets_in(phone(next_ % hosts_of_thread)) && call_next(); });
    while (call_next()) {
    }
    SharedDoorKeeper::set_other_work({});
  }
  std::size_t wrong = 0, within_others = 0;
  std::string first_wrong;

 private:
  static constexpr uint32_t most_at_once = 4;
  bool lets_in(const FlowEnd& me) const { return engine_.lets_in({Protocol::udp, me, {provider, provider}, 0, true, false}, number_); }
  bool call_next() {
    if (next_ == rounds * hosts_of_thread) return false;
    const uint32_t number = next_++;
    within_others += depth_ > 0;
    call(number % hosts_of_thread, number / hosts_of_thread);
    return true;
  }
  // The first ones of a thread are of its shard, others of any.
  FlowEnd phone(uint32_t host) const {
    const std::string network = "10.0." + std::to_string(number_) + ".";
    uint32_t last = 10 + 30 * host;
    while (host < hosts_of_thread / 2 && shard_of(*parse_address(network + std::to_string(last)), threads) != number_) ++last;
    return {*parse_endpoint(network + std::to_string(last) + ":5060"), {router, static_cast<uint16_t>(20'000 + number_ * 100 + host)}};
  }
  std::string pass(const std::string& text, const FlowEnd& sender, const FlowEnd& receiver, bool begun) {
    now_ += std::chrono::milliseconds{20};
    const bool waited = std::exchange(waits_, text.find(" INVITE\r\n") != std::string::npos);
    Trace trace;  // which looks at doors, too
    Scratch& scratch = scratches_[depth_++];
    const Verdict verdict = engine_.handle({text, {Protocol::udp, sender, receiver, 0, begun, false}}, now_, scratch, next_ % 2 == 0 ? &trace : nullptr);
    waits_ = waited;
    const std::string left = verdict.edited() ? std::string(verdict.bytes) : text;
    if (--depth_ == 0) engine_.tick_shard(number_, now_, 16);
    return left;
  }
  void expect(bool holds, const std::string& what, const std::string& message) {
    if (holds) return;
    ++wrong;
    if (first_wrong.empty()) first_wrong = what + ":\n" + message;
  }

  // With media of its own and of another thread's host, on ports that all hosts take.
  void call(uint32_t host, uint32_t round) {
    const FlowEnd me = phone(host), far{provider, provider};
    const std::string mine = to_string(me.inside.address), other = "10.0." + std::to_string((number_ + 1) % threads) + ".10";
    const std::string id = std::to_string(number_) + "-" + std::to_string(host) + "-" + std::to_string(round);
    const std::string port = std::to_string(4000 + 2 * (round % 3));
    const std::string head = "\nVia: SIP/2.0/UDP " + mine + ":5060;branch=z9hG4bK" + id + "{b};rport\nFrom: <sip:a@" + mine + ">;tag=" + id +
                             "\nTo: <sip:b@203.0.113.2>{t}\nCall-ID: " + id + "\nContact: <sip:a@" + mine + ":5060>\nCSeq: ";
    const std::string body = "\nv=0\no=- 1 1 IN IP4 " + mine + "\ns=-\nc=IN IP4 " + mine + "\nt=0 0\nm=audio " + port +
                             " RTP/AVP 0\nm=video " + port + " RTP/AVP 31\nc=IN IP4 " + (round % 4 == 0 ? other : mine) + "\n";
    const auto own = [&](const std::string& method, const std::string& tag, const std::string& sdp) {
      const std::string number = method == "BYE" ? "2 BYE" : "1 " + method;
      return sip_text("\n" + method + " sip:b@203.0.113.2:5060 SIP/2.0" + with(with(head, "{b}", method), "{t}", tag) + number +
                      "\nMax-Forwards: 70\n" + (sdp.empty() ? "" : "Content-Type: application/sdp\n") + "Content-Length: {length}\n" + sdp);
    };
    const std::string invite = pass(own("INVITE", "", body), me, far, true);
    expect(invite.find("10.0.") == std::string::npos, "an inside address leaves", invite);
    const std::size_t via = invite.find("Via:"), length = invite.find("\r\n", via) - via;
    const auto answer = [&](const std::string& cseq, const std::string& through, const std::string& sdp) {
      return sip_text("\nSIP/2.0 200 OK\n" + through + "\nFrom: <sip:a@203.0.113.1>;tag=" + id + "\nTo: <sip:b@203.0.113.2>;tag=x\nCall-ID: " + id +
                      "\nCSeq: " + cseq + "\nContact: <sip:b@203.0.113.2:5060>\n" + (sdp.empty() ? "" : "Content-Type: application/sdp\n") +
                      "Content-Length: {length}\n" + sdp);
    };
    const std::string ok = pass(answer("1 INVITE", invite.substr(via, length), "\nv=0\no=- 1 1 IN IP4 203.0.113.2\ns=-\nc=IN IP4 203.0.113.2\n"
                                       "t=0 0\nm=audio " + std::to_string(30'000 + round * 2) + " RTP/AVP 0\nm=video 0 RTP/AVP 31\n"), far, me, false);
    expect(ok.find("Via: SIP/2.0/UDP " + mine + ":5060") != std::string::npos, "the Via does not come back", ok);
    pass(own("ACK", ";tag=x", ""), me, far, true);
    if (depth_ == 0) hairpin(host, id);  // it has two inside ends
    const std::string bye = pass(own("BYE", ";tag=x", ""), me, far, true);
    expect(bye.find("10.0.") == std::string::npos, "an inside address leaves", bye);
    const std::size_t bye_via = bye.find("Via:");
    pass(answer("2 BYE", bye.substr(bye_via, bye.find("\r\n", bye_via) - bye_via), ""), far, me, false);
  }

  // To another thread's phone, by its outside endpoint.
  void hairpin(uint32_t host, const std::string& id) {
    const FlowEnd me = phone(host);
    const Caller other(engine_, (number_ + 1) % threads);
    const FlowEnd them = other.phone(host);
    const std::string mine = to_string(me.inside.address);
    const std::string left = pass(sip_text("\nOPTIONS sip:c@" + to_string(them.outside) + " SIP/2.0\nVia: SIP/2.0/UDP " + mine +
                                           ":5060;branch=z9hG4bK" + id + "h\nFrom: <sip:a@" + mine + ">;tag=h" + id + "\nTo: <sip:c@" +
                                           to_string(them.outside) + ">\nCall-ID: h" + id + "\nContact: <sip:a@" + mine +
                                           ":5060>\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n"),
                                  me, them, true);
    expect(left.find("Contact: <sip:a@203.0.113.1:") != std::string::npos, "a hairpin's Contact", left);
  }

  Engine& engine_;
  std::vector<Scratch> scratches_;  // of the messages that are under way, one within another
  uint32_t number_, depth_ = 0, next_ = 0;
  bool waits_ = false;  // the innermost may wait for others
  Instant now_{std::chrono::hours{1}};
};

}  // namespace

TEST_CASE("threads share the engine") {
  FakeDoorKeeper kernel;
  SharedDoorKeeper keeper(kernel);
  Engine engine(policy(), keeper, 7, threads);
  std::vector<Caller> callers;
  for (uint32_t i = 0; i < threads; ++i) callers.emplace_back(engine, i);
  std::barrier start(threads + 1);
  std::vector<std::thread> running;
  for (Caller& caller : callers)
    running.emplace_back([&] {
      start.arrive_and_wait();
      caller.run();
    });
  start.arrive_and_wait();
  for (int i = 0; i < 50; ++i) {  // what an administrator does meanwhile
    engine.set_policy(policy());
    (void)engine.calls(Instant{std::chrono::hours{1}}), (void)engine.doors(Instant{std::chrono::hours{1}});
    (void)engine.stats(), (void)engine.standing(), (void)engine.next_timer();
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  for (std::thread& thread : running) thread.join();

  for (const Caller& caller : callers) {
    INFO(caller.first_wrong);
    CHECK(caller.wrong == 0);
    CHECK(caller.within_others > 0);
  }
  const Stats stats = engine.stats();
  CHECK(stats[Event::calls_begun] == threads * hosts_of_thread * rounds);
  CHECK(stats[Event::calls_ended_by_message] == stats[Event::calls_begun]);
  CHECK(stats[Event::doors_refused] == 0);
  CHECK(stats.of_groups(Reason::kernel_refused) == 0);
  CHECK(kernel.refused == 0);
  CHECK(kernel.closed_twice == 0);
  engine.close_all(Instant{std::chrono::hours{2}});
  std::this_thread::sleep_for(longest_wait_of_closings);
  CHECK(keeper.flush_when_due(Instant{std::chrono::hours{2}}) == Instant::max());
  CHECK(kernel.living.empty());
  CHECK(engine.stats()[Event::doors_opened] == engine.stats()[Event::doors_closed]);
}

// Its flow has the outside endpoint of another shard's door, which is asked about (Verdict::is_misplaced).
TEST_CASE("who waits for doors has the lock of his part after a message with another's outside endpoint came first") {
  FakeDoorKeeper kernel;
  SharedDoorKeeper keeper(kernel);
  Engine engine(policy(), keeper, 7, 2);
  const Instant now{std::chrono::hours{1}};
  const auto host_of = [](uint32_t shard, int nth) {
    for (int i = 1;; ++i)
      if (const Address host = *parse_address("10.0.0." + std::to_string(i)); shard_of(host, 2) == shard && nth-- == 0) return host;
  };
  const auto flow_of = [](const Address& host, uint16_t outside) {
    return Flow{Protocol::udp, {{host, 5060}, {router, outside}}, {provider, provider}, 0, true, false};
  };
  const auto request = [](const std::string& method, const Address& address, int port) {
    const std::string host = to_string(address);
    const std::string head = "\n" + method + " sip:b@203.0.113.2:5060 SIP/2.0\nVia: SIP/2.0/UDP " + host + ":5060;branch=z9hG4bK" + host +
                             ";rport\nFrom: <sip:a@203.0.113.2>;tag=" + host + "\nTo: <sip:b@203.0.113.2>\nCall-ID: " + host + "\nCSeq: 1 " + method +
                             "\nContact: <sip:a@" + host + ":5060>\nMax-Forwards: 70\nContent-Length: {length}\n";
    if (method == "REGISTER") return sip_text(head);
    return sip_text(with(head, "Content-Length", "Content-Type: application/sdp\nContent-Length") + "\nv=0\no=- 1 1 IN IP4 " + host +
                    "\ns=-\nc=IN IP4 " + host + "\nt=0 0\nm=audio " + std::to_string(port) + " RTP/AVP 0\n");
  };
  int misplaced = 0, lost = 0;
  for (int round = 0; round < 20; ++round) {
    const auto outside = static_cast<uint16_t>(20'000 + round);
    const Address owner = host_of(1, round), newcomer = host_of(0, 2 * round), caller = host_of(0, 2 * round + 1);
    Scratch own(1), outer(0), inner(0);
    (void)engine.handle({request("REGISTER", owner, 0), flow_of(owner, outside)}, now, own);
    const std::string text = request("REGISTER", newcomer, 0);
    bool has_work = true;
    SharedDoorKeeper::set_other_work([&] {
      if (!std::exchange(has_work, false) || !engine.lets_in(flow_of(newcomer, outside), 0)) return false;
      misplaced += engine.handle({text, flow_of(newcomer, outside)}, now, inner).is_misplaced ? 1 : 0;
      lost += engine.lets_in(flow_of(newcomer, outside), 0) ? 0 : 1;
      return true;
    });
    (void)engine.handle({request("INVITE", caller, 4000 + 2 * round), flow_of(caller, static_cast<uint16_t>(30'000 + round))}, now, outer);
    SharedDoorKeeper::set_other_work({});
  }
  CHECK(misplaced == 20);
  CHECK(lost == 0);
}

TEST_CASE("hosts that all want the same ports get the ones they get where one has all doors, and every port once") {
  FakeDoorKeeper kernel;
  Doors one(kernel, 1), several(kernel, 4);
  std::set<uint16_t> given;
  for (int host = 0; host < 1500; ++host) {
    DoorTable::MediaWish wish;
    wish.inside = {*parse_address("10.0." + std::to_string(host / 250) + "." + std::to_string(host % 250 + 1)), 20'000};
    wish.outside_address = router;
    wish.ports = 2;
    wish.with_rtcp = true;
    const auto alone = one.claim_media(wish, Instant{}), shared = several.claim_media(wish, Instant{});
    REQUIRE((alone && shared));
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(several.outside_of((*shared)[i]) == one.outside_of((*alone)[i]));
      CHECK(given.insert(several.outside_of((*shared)[i]).port).second);
    }
    if (host % 3 != 0) continue;  // some go, and rest
    for (std::size_t i = 0; i < 2; ++i) one.release((*alone)[i], Instant{}), several.release((*shared)[i], Instant{});
  }
}
