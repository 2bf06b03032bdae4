// SPDX-License-Identifier: GPL-2.0-or-later
// Many messages at once, as one read of the queue brings them: those that wait for doors let others come first, and all wishes
// reach the kernel together. What comes of each message is what would have come of it alone.
#include <algorithm>
#include <catch2/catch.hpp>
#include <new>

#include "alg/engine/overtaking.h"
#include "test/engine/call_messages.h"
#include "test/engine/stage.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

// What PacketPath does with the packets of one read.
class Crowd {
 public:
  struct Message {
    bool out;
    std::string sender, receiver, text;
    std::string arrived{};
    bool threw = false;
  };
  explicit Crowd(World& world) : world_(world) {
    world_.gathered.set_other_work([this] { return overtaking_.may_wait() && give_next(true); });
  }
  ~Crowd() { world_.gathered.set_other_work({}); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  std::vector<Message> handle(std::vector<Message> messages) {
    messages_ = std::move(messages);
    order_.clear();
    next_ = 0;
    while (give_next(false)) {
    }
    CHECK(world_.gathered.waiting() == 0);
    CHECK(overtaking_.depth() == 0);
    return messages_;
  }
  const std::vector<std::size_t>& order() const { return order_; }  // in which they left

 private:
  bool give_next(bool comes_first) {
    Scratch& scratch = world_.scratch_of_next();
    if (next_ == messages_.size() || (comes_first && !overtaking_.may_come_first(messages_[next_].text, scratch))) return false;
    const std::size_t number = next_++;
    Message& message = messages_[number];
    const Overtaking::UnderWay under_way(overtaking_, scratch, message.text);
    try {
      message.arrived = message.out ? world_.out(message.sender, message.receiver, message.text)
                                    : world_.in(message.sender, message.receiver, message.text).value_or("");
    } catch (const std::bad_alloc&) {
      message.threw = true;
    }
    order_.push_back(number);
    return true;
  }
  World& world_;
  Overtaking overtaking_;
  std::vector<Message> messages_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
};

std::string host(int n) { return "10.0.0." + std::to_string(n); }

// Media at `port` and the next one.
std::string invite_of(const std::string& host, const std::string& call, int port) {
  std::string text = with(sip_text(invite), "10.0.0.2", host);
  text = with(with(text, "4001", std::to_string(port + 1)), "4000", std::to_string(port));
  const std::size_t at = text.find("Call-ID: ") + 9;
  return text.replace(at, text.find('\r', at) - at, call);
}

std::vector<Crowd::Message> invites_of_hosts(int count) {
  std::vector<Crowd::Message> messages;
  for (int n = 0; n < count; ++n)
    messages.push_back({true, host(2 + n) + ":5060", provider, invite_of(host(2 + n), "call-" + std::to_string(n), 4000 + 10 * n)});
  return messages;
}

bool is_mapped(const Crowd::Message& message) { return message.arrived.find("c=IN IP4 203.0.113.1") != std::string::npos; }

// What arrives when each comes alone.
std::vector<std::string> one_by_one(const std::vector<Crowd::Message>& messages) {
  World world;
  std::vector<std::string> arrived;
  for (const auto& m : messages) arrived.push_back(m.out ? world.out(m.sender, m.receiver, m.text) : world.in(m.sender, m.receiver, m.text).value_or(""));
  return arrived;
}

std::vector<std::string> texts_of(const std::vector<Crowd::Message>& messages) {
  std::vector<std::string> texts;
  for (const auto& m : messages) texts.push_back(m.arrived);
  return texts;
}

// Of the kernel, when all goes well.
std::size_t operations_of(const std::vector<Crowd::Message>& sent) {
  World world;
  (void)Crowd(world).handle(sent);
  return world.kernel.operations;
}

}  // namespace

TEST_CASE("crowd: a message is read once, ahead or when it is handled", "[crowd]") {
  Scratch scratch;
  std::string text = with(sip_text(invite), "INVITE", "UPDATE");
  REQUIRE(scratch.read(text));
  CHECK(scratch.message.method == sip::Method::update);
  REQUIRE(scratch.read_ahead(text));
  std::ranges::copy(sip_text(invite), text.begin());  // as long
  REQUIRE(scratch.is_ahead(text));
  REQUIRE(scratch.read(text));
  CHECK(scratch.message.method == sip::Method::update);
  scratch.forget();
  REQUIRE(scratch.read(text));
  CHECK(scratch.message.method == sip::Method::invite);
  CHECK_FALSE(scratch.read_ahead("SIP/2.0 "));
  CHECK_FALSE(scratch.read("SIP/2.0 "));
  scratch.forget();
  REQUIRE(scratch.read(text));
  CHECK_FALSE(scratch.read({}));  // where nothing was read ahead, no bytes are none of it
}

TEST_CASE("crowd: calls of one read open their doors together", "[crowd]") {
  World world;
  Crowd crowd(world);
  const auto sent = invites_of_hosts(5);
  const auto came = crowd.handle(sent);
  CHECK(texts_of(came) == one_by_one(sent));
  for (const auto& message : came) CHECK(is_mapped(message));
  CHECK(std::ranges::max(world.kernel.together) == 5);
  CHECK(crowd.order() == std::vector<std::size_t>{4, 3, 2, 1, 0});
  CHECK(world.stats()[Event::doors_opened] == world.kernel.opened);
}

TEST_CASE("crowd: so many wait, and no more", "[crowd]") {
  World world;
  Crowd crowd(world);
  const auto sent = invites_of_hosts(20);
  CHECK(texts_of(crowd.handle(sent)) == one_by_one(sent));
  CHECK(std::ranges::max(world.kernel.together) == 8);
}

TEST_CASE("crowd: the one the kernel refuses passes unchanged, the others do not notice", "[crowd]") {
  const auto sent = invites_of_hosts(4);
  const auto expected = one_by_one(sent);
  const std::size_t operations = operations_of(sent);
  for (std::size_t n = 1; n <= operations; ++n) {
    World world;
    Crowd crowd(world);
    world.kernel.fail_at(n);
    const auto came = crowd.handle(sent);
    std::size_t as_alone = 0;
    for (std::size_t i = 0; i < sent.size(); ++i) as_alone += came[i].arrived == expected[i];
    CHECK(as_alone == sent.size() - 1);
    CHECK(world.kernel.refused == 1);
    world.pass_time(50h);
    CHECK(world.doors() == 0);
    CHECK(world.kernel.closed_twice == 0);
    CHECK(world.engine.totals().doors == 0);
  }
}

TEST_CASE("crowd: messages of one call stay in their order", "[crowd]") {
  World world;
  Crowd crowd(world);
  auto sent = invites_of_hosts(3);
  sent.insert(sent.begin() + 2, sent.front());  // the first INVITE again
  const auto came = crowd.handle(sent);
  CHECK(crowd.order() == std::vector<std::size_t>{1, 0, 2, 3});
  CHECK(came[0].arrived == came[2].arrived);
  CHECK(world.engine.totals().calls == 3);
  CHECK(world.stats()[Event::retransmitted_invites] == 1);
}

TEST_CASE("crowd: calls of one phone share the door it listens on", "[crowd]") {
  const auto calls_of_one_phone = [] {
    std::vector<Crowd::Message> messages;
    for (int n = 0; n < 3; ++n) {
      const std::string text = invite_of("10.0.0.2", "call-" + std::to_string(n), 4000 + 10 * n);
      messages.push_back({true, "10.0.0.2:7000", provider, with(text, "10.0.0.2:5060", "10.0.0.2:6060")});
    }
    return messages;
  };
  const auto sent = calls_of_one_phone();
  const auto expected = one_by_one(sent);
  std::size_t operations = 0;
  {
    World world;
    Crowd crowd(world);
    CHECK(texts_of(crowd.handle(sent)) == expected);
    operations = world.kernel.operations;
    CHECK(world.kernel.opened == world.doors());
    CHECK(world.engine.totals().kernel_doors == world.doors());
    World alone;
    for (const auto& m : sent) (void)alone.out(m.sender, m.receiver, m.text);
    CHECK(world.kernel.living.size() == alone.kernel.living.size());
  }
  for (std::size_t n = 1; n <= operations; ++n) {
    World world;
    Crowd crowd(world);
    world.kernel.fail_at(n);
    const auto came = crowd.handle(sent);
    CHECK(std::ranges::count_if(came, is_mapped) >= 2);
    CHECK(world.engine.totals().kernel_doors == world.doors());
    world.pass_time(50h);
    CHECK(world.doors() == 0);
    CHECK(world.kernel.closed_twice == 0);
  }
}

TEST_CASE("crowd: an exception meets one message alone", "[crowd]") {
  const auto sent = invites_of_hosts(4);
  const auto expected = one_by_one(sent);
  const std::size_t operations = operations_of(sent);
  for (std::size_t n = 1; n <= operations; ++n) {
    World world;
    Crowd crowd(world);
    world.kernel.throw_at(n);
    const auto came = crowd.handle(sent);
    CHECK(std::ranges::count_if(came, &Crowd::Message::threw) == 1);
    for (std::size_t i = 0; i < sent.size(); ++i)
      if (!came[i].threw) CHECK(came[i].arrived == expected[i]);
    CHECK(world.engine.totals().kernel_doors == world.doors());
  }
}

TEST_CASE("crowd: who waits for no door goes before who does", "[crowd]") {
  World world;
  Crowd crowd(world);
  auto sent = invites_of_hosts(2);
  sent.insert(sent.begin() + 1, {true, phone, provider, "not SIP at all"});
  (void)crowd.handle(sent);
  CHECK(crowd.order() == std::vector<std::size_t>{1, 2, 0});
}

TEST_CASE("crowd: a registration is through before a call may come for it", "[crowd]") {
  World world;
  Crowd crowd(world);
  const auto calls = invites_of_hosts(2);
  const std::string moved = with(sip_text(registration), "10.0.0.2:5060", "10.0.0.2:6060");
  (void)crowd.handle({{true, "10.0.0.2:7000", provider, moved}, calls[1]});
  CHECK(crowd.order() == std::vector<std::size_t>{0, 1});
}
