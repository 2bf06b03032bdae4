// SPDX-License-Identifier: GPL-2.0-or-later
// Registrations that outlive the process: what one engine gives away another takes back.
#include <catch2/catch.hpp>

#include <map>

#include "test/engine/call_messages.h"
#include "test/engine/world.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

void register_phone(World& world, const std::string& request = registration, const std::string& answer = ok_to_registration) {
  world.out(phone, provider, sip_text(request));
  world.delivered(provider, w, sip_text(answer));
}

// What a state folder holds after this.
std::map<std::string, std::string> kept(World& world) {
  std::map<std::string, std::string> state;
  for (const SavedChange& change : world.engine.take_registration_changes(SIZE_MAX))
    change.bytes.empty() ? void(state.erase(change.key)) : void(state[change.key] = change.bytes);
  return state;
}

std::string one(World& world) {
  const auto state = kept(world);
  REQUIRE(state.size() == 1);
  return state.begin()->second;
}

struct Registered {
  Registered() {
    world.engine.note_registration_changes(true);
    register_phone(world);
    bytes = one(world);
  }
  World world;
  std::string bytes;
};

}  // namespace

TEST_CASE("a registration taken back has its door, its texts, and ends when it would have ended") {
  Registered before;
  World world;
  world.pass_time(20s);
  REQUIRE(world.engine.restore_registration(before.bytes, world.now));
  CHECK(world.door_of(phone) == ep(w));
  const auto there = world.engine.registrations(world.now), was = before.world.engine.registrations(before.world.now);
  REQUIRE((there.size() == 1 && was.size() == 1));
  CHECK(there[0].remaining == was[0].remaining - 20'000);
  const std::string got = world.delivered("203.0.113.2:5071", w, sip_text(invite_from_bob));
  CHECK(got.starts_with("INVITE sip:alice@10.0.0.2 SIP/2.0\r\n"));
  const std::string answered = world.out(phone, "203.0.113.2:5071", sip_text(ok_from_alice));
  CHECK(answered.find("Contact: <sip:alice@203.0.113.1>") != std::string::npos);
  world.pass_time(70s);
  CHECK(world.engine.registrations(world.now).size() == 1);
  world.pass_time(5s);  // granted, and 64*T1
  CHECK(world.engine.registrations(world.now).empty());
}

TEST_CASE("a registration taken back is refreshed and taken back by its phone as ever") {
  Registered before;
  World world;
  world.engine.note_registration_changes(true);
  REQUIRE(world.engine.restore_registration(before.bytes, world.now));
  register_phone(world, with(registration, "CSeq: 1", "CSeq: 2"), with(ok_to_registration, "CSeq: 1", "CSeq: 2"));
  CHECK(world.engine.registrations(world.now).size() == 1);
  CHECK(world.door_of(phone) == ep(w));
  CHECK(kept(world).size() == 1);
  register_phone(world, with(with(with(registration, "CSeq: 1", "CSeq: 3"), "=z9hG4bKr1", "=z9hG4bKr3"), "expires=600", "expires=0"),
                 with(with(with(ok_to_registration, "CSeq: 1", "CSeq: 3"), "=z9hG4bKr1", "=z9hG4bKr3"), "Contact: <sip:alice@203.0.113.1>;expires=60\n", ""));
  CHECK(world.engine.registrations(world.now).empty());
  const auto changes = world.engine.take_registration_changes(SIZE_MAX);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].bytes.empty());
  world.pass_time(2min);
  CHECK(world.doors() == 0);
}

TEST_CASE("what changed is told once, in portions; what ended before it was told is not told as living") {
  World world;
  register_phone(world);
  CHECK(world.engine.take_registration_changes(SIZE_MAX).empty());  // nobody keeps them
  world.engine.note_registration_changes(true);
  for (int n = 0; n < 3; ++n) {
    const std::string aor = "a" + std::to_string(n) + "@example.net>";
    const auto of = [&](const std::string& text) {
      return with(with(with(text, "alice@example.net>", aor), "reg-1", "reg-" + std::to_string(n + 2)), "z9hG4bKr1", "z9hG4bKq" + std::to_string(n));
    };
    register_phone(world, of(registration), of(ok_to_registration));
  }
  CHECK(world.engine.take_registration_changes(1).size() == 1);
  CHECK(world.engine.take_registration_changes(SIZE_MAX).size() == 2);
  CHECK(world.engine.take_registration_changes(SIZE_MAX).empty());
  register_phone(world, with(registration, "CSeq: 1", "CSeq: 2"), with(ok_to_registration, "CSeq: 1", "CSeq: 2"));
  world.engine.clear_registrations(world.now);
  const auto changes = world.engine.take_registration_changes(SIZE_MAX);
  CHECK(changes.size() == 4);
  for (const SavedChange& change : changes) CHECK(change.bytes.empty());
}

TEST_CASE("when nobody keeps changes any more they are not gathered, and are told anew to who begins again") {
  Registered phones;
  const auto again = [](const std::string& text) { return with(text, "CSeq: 1", "CSeq: 2"); };
  register_phone(phones.world, again(registration), again(ok_to_registration));
  phones.world.engine.note_registration_changes(false);
  CHECK(phones.world.engine.take_registration_changes(SIZE_MAX).empty());
  phones.world.engine.clear_registrations(phones.world.now);
  CHECK(phones.world.engine.take_registration_changes(SIZE_MAX).empty());
  phones.world.engine.note_registration_changes(true);
  register_phone(phones.world, with(registration, "CSeq: 1", "CSeq: 3"), with(ok_to_registration, "CSeq: 1", "CSeq: 3"));
  CHECK(phones.world.engine.take_registration_changes(SIZE_MAX).size() == 1);
}

TEST_CASE("a kept registration is not taken back when it is over, damaged, or its place is not its own any more") {
  Registered before;
  SECTION("over") {
    World world;
    world.pass_time(2min);
    CHECK_FALSE(world.engine.restore_registration(before.bytes, world.now));
    CHECK(world.doors() == 0);
  }
  SECTION("damaged") {
    World world;
    for (std::size_t i = 0; i < before.bytes.size(); ++i) {
      std::string bytes = before.bytes;
      bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
      CHECK_FALSE(world.engine.restore_registration(bytes, world.now));
      CHECK_FALSE(world.engine.restore_registration(std::string_view(before.bytes).substr(0, i), world.now));
    }
    CHECK(world.doors() == 0);
    CHECK(world.engine.registrations(world.now).empty());
  }
  SECTION("another phone's") {
    World world;
    world.out("10.0.0.3:5060", provider, sip_text(with(registration, "10.0.0.2", "10.0.0.3")));
    REQUIRE(world.door_of("10.0.0.3:5060") == ep(w));
    CHECK_FALSE(world.engine.restore_registration(before.bytes, world.now));
    CHECK_FALSE(world.door_of(phone));
  }
  SECTION("an address that the router has lost") {
    World world;
    Policy policy;
    policy.router = {*parse_address("203.0.113.9")};
    world.engine.set_policy(policy);
    CHECK_FALSE(world.engine.restore_registration(before.bytes, world.now));
    CHECK(world.doors() == 0);
  }
  SECTION("the kernel refuses the door: its place is kept, as when a phone registers") {
    World world;
    world.kernel.fail_at(1);
    CHECK(world.engine.restore_registration(before.bytes, world.now));
    CHECK_FALSE(world.door_of(phone));
    CHECK(world.engine.registrations(world.now).size() == 1);
    register_phone(world, with(registration, "CSeq: 1", "CSeq: 2"), with(ok_to_registration, "CSeq: 1", "CSeq: 2"));
    CHECK(world.door_of(phone) == ep(w));
  }
}
