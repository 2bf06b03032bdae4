// SPDX-License-Identifier: GPL-2.0-or-later
// The containers of doors: numbers, their index, and the records themselves. No kernel.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "conntrack/door_store.h"
#include "conntrack/places.h"

using namespace sipalg;

namespace {

Endpoint endpoint(const char* text) { return *parse_endpoint(text); }

KernelDoor inbound(const char* inside, const char* outside, Network scope = {}) {
  KernelDoor door;
  door.inside = endpoint(inside);
  door.outside = endpoint(outside);
  door.scope = scope;
  return door;
}

} // namespace

TEST_CASE("places are filled from the lowest up, and are empty when they come again") {
  Places<int> places;
  for (uint32_t i = 0; i < 2000; ++i) {
    REQUIRE(places.insert() == i);
    places[i] = static_cast<int>(i);
  }
  for (const uint32_t place : {1999U, 700U, 3U}) places.erase(place);
  CHECK(places.size() == 1997);
  CHECK_FALSE(places.contains(700));
  CHECK(places.contains(701));
  CHECK_FALSE(places.contains(5000));
  CHECK(places.insert() == 3);
  CHECK(places[3] == 0);
  CHECK(places.insert() == 700);
  CHECK(places.insert() == 1999);
  std::vector<uint32_t> seen;
  places.for_each([&](uint32_t place) {
    seen.push_back(place);
    places.erase(place);
  });
  CHECK(seen.size() == 2000);
  CHECK(places.size() == 0);
  CHECK(places.insert() == 0);
}

TEST_CASE("places in the middle that go leave their neighbours where they are") {
  Places<int> places;
  for (int i = 0; i < 3000; ++i) places[places.insert()] = i;
  for (uint32_t i = 512; i < 1536; ++i) places.erase(i);
  for (uint32_t i = 1536; i < 3000; ++i) REQUIRE(places[i] == static_cast<int>(i));
  for (uint32_t i = 512; i < 1536; ++i) REQUIRE(places.insert() == i);
  CHECK(places.insert() == 3000);
}

TEST_CASE("the index finds what was inserted and not erased, whatever shares a hash") {
  PlaceIndex index;
  std::multimap<uint32_t, uint32_t> known;
  std::mt19937 random(7);
  const auto hash = [&] { return static_cast<uint32_t>(random() % 3 == 0 ? random() % 4 : random() & 0xfc0000ffU); };
  const auto found = [&](uint32_t of) {
    std::set<uint32_t> places;
    index.any_of(of, [&](uint32_t place) { return !places.insert(place).second; });
    return places;
  };
  for (uint32_t step = 0; step < 40'000; ++step) {
    const bool grows = step < 20'000 ? random() % 4 != 0 : random() % 4 == 0;
    if (grows) {
      const uint32_t of = hash();
      index.insert(of, step);
      known.emplace(of, step);
    } else if (!known.empty()) {
      auto any = known.lower_bound(hash());
      if (any == known.end()) any = known.begin();
      index.erase(any->first, any->second);
      known.erase(any);
    }
    if (step % 97 != 0 || known.empty()) continue;
    const uint32_t of = known.begin()->first;
    std::set<uint32_t> expected;
    for (auto [it, end] = known.equal_range(of); it != end; ++it) expected.insert(it->second);
    REQUIRE(found(of) == expected);
  }
  for (const auto& [of, place] : known) REQUIRE(found(of).contains(place));
  index.erase(12345, 1); // not there: no error
  index.clear();
  CHECK(found(known.begin()->first).empty());
}

TEST_CASE("a record gives back the door it was made of") {
  DoorStore doors;
  std::vector<KernelDoor> made{inbound("10.0.0.2:4000", "203.0.113.1:4010"),
                               inbound("[fd00::2]:4000", "[2001:db8::1]:4010", *parse_network("2001:db8::/32")),
                               inbound("10.0.0.2:4000", "203.0.113.1:4010", *parse_network("203.0.113.2"))};
  made[1].protocol = Protocol::tcp;
  made[2].signalling = true;
  made[2].zone = 7;
  KernelDoor out;
  out.kind = KernelDoor::Kind::way_out;
  out.inside = {*parse_address("10.0.0.2"), 0};
  out.outside = endpoint("203.0.113.2:6000");
  made.push_back(out);
  std::vector<uint32_t> places;
  for (const KernelDoor& door : made) places.push_back(doors.insert(door));
  for (std::size_t i = 0; i < made.size(); ++i) {
    CHECK(doors.door(places[i]) == made[i]);
    CHECK(doors.find(doors.handle(places[i])) == places[i]);
  }
  doors.erase(places[0]);  // what it had in common with another stays
  const uint32_t again = doors.insert(made[0]);
  doors.erase(places[2]);
  CHECK(doors.door(again) == made[0]);
  CHECK(doors.door(places[1]) == made[1]);
  CHECK_FALSE(doors.any_of(key_of(made[2]), [&](uint32_t place) { return place != again; }));
}

TEST_CASE("doors are found by key, inbound ones by their inside endpoint alone") {
  DoorStore doors;
  const uint32_t one = doors.insert(inbound("10.0.0.2:4000", "203.0.113.1:4010", *parse_network("203.0.113.2")));
  const uint32_t two = doors.insert(inbound("10.0.0.2:4000", "203.0.113.1:4020"));
  doors.insert(inbound("10.0.0.2:4002", "203.0.113.1:4012"));
  std::set<uint32_t> found;
  const auto collect = [&](uint32_t place) { return !found.insert(place).second; };
  doors.any_inbound_of(Protocol::udp, endpoint("10.0.0.2:4000"), collect);
  CHECK(found == std::set{one, two});
  found.clear();
  doors.any_of(key_of(inbound("10.0.0.2:4000", "203.0.113.1:4020")), collect);
  CHECK(found == std::set{two});
  CHECK_FALSE(doors.any_inbound_of(Protocol::tcp, endpoint("10.0.0.2:4000"), [](uint32_t) { return true; }));
  doors.erase(two);
  CHECK_FALSE(doors.any_of(key_of(inbound("10.0.0.2:4000", "203.0.113.1:4020")), [](uint32_t) { return true; }));
}

TEST_CASE("a handle of a door that is gone finds nothing, whoever has its place") {
  DoorStore doors;
  const uint32_t first = doors.insert(inbound("10.0.0.2:4000", "203.0.113.1:4010"));
  const DoorHandle handle = doors.handle(first);
  doors.erase(first);
  CHECK_FALSE(doors.find(handle));
  CHECK(doors.insert(inbound("10.0.0.2:4000", "203.0.113.1:4010")) == first);
  CHECK_FALSE(doors.find(handle));
  CHECK_FALSE(doors.find(0));
}
