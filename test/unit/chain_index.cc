// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/base/chain_index.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>
#include <random>
#include <set>

#include "alg/base/compact_list.h"
#include "alg/base/few_numbers.h"
#include "alg/base/packed_texts.h"
#include "alg/base/rare.h"
#include "alg/base/shared_values.h"
#include "alg/base/texts.h"
#include "alg/calls/ended_ring.h"

using namespace sipalg;

namespace {

struct Record {
  uint64_t key = 0;
  uint32_t next = 0;
};

struct KeyHash {
  std::size_t operator()(const Record& record) const { return record.key; }
};

}  // namespace

TEST_CASE("an index finds all records of a key and no other, while the table grows and shrinks") {
  Slab<Record> slab;
  ChainIndex<Record, &Record::next, KeyHash> index(slab);
  std::multimap<uint64_t, uint64_t> known;  // key, id
  std::mt19937_64 random(1);
  CHECK(index.find(1, [](const Record&) { return true; }) == 0);
  for (int round = 0; round < 40'000; ++round) {
    const bool grows = round / 5000 % 2 == 0;
    if (known.empty() || (random() % 4 != 0) == grows) {
      const auto [id, record] = slab.add();
      record.key = random() % 500 << 32;  // many of one hash, and keys whose low bits are equal
      known.emplace(record.key, id);
      index.insert(id);
    } else {
      auto it = known.lower_bound(random() % 500 << 32);
      if (it == known.end()) it = known.begin();
      index.erase(it->second);
      slab.erase(it->second);
      known.erase(it);
    }
    REQUIRE(index.size() == known.size());
    if (round % 100 != 0) continue;
    for (uint64_t key = 0; key < 500; ++key) {
      std::size_t found = 0;
      index.for_each(key << 32, [&](const Record& record) { found += record.key == key << 32; });
      REQUIRE(found == known.count(key << 32));
      const auto one = known.find(key << 32);
      if (one == known.end()) continue;
      REQUIRE(slab.find(index.find(key << 32, [&](const Record& r) { return &r == slab.find(one->second); })) == slab.find(one->second));
    }
  }
}

TEST_CASE("a shared value is kept once, under one number, until its last holder lets go") {
  SharedValues<std::string> shared;
  std::map<std::string, std::pair<uint32_t, int>> known;  // number, holders
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const std::string value = "value " + std::to_string(random() % 300);
    const auto it = known.find(value);
    if (it == known.end() || random() % 2 == 0) {
      const uint32_t number = shared.hold(value);
      if (it != known.end()) REQUIRE(number == it->second.first);
      known[value] = {number, it == known.end() ? 1 : it->second.second + 1};
    } else {
      shared.release(it->second.first);
      if (--it->second.second == 0) known.erase(it);
    }
    REQUIRE(shared.size() == known.size());
  }
  for (const auto& [value, held] : known) CHECK(shared[held.first] == value);
}

TEST_CASE("a rare part is there to be read, and its own once it is written to") {
  Rare<std::string> first, second;
  CHECK(first->empty());
  second.write() = "b";
  CHECK(first->empty());
  first.write() = "a";
  CHECK(*first + *second == "ab");
  second = std::move(first);
  CHECK(*second == "a");
}

TEST_CASE("texts stand behind each other, and empty ones among them") {
  CHECK(Texts<2>()[1].empty());
  const Texts<4> texts({"call-1@10.0.0.2", "", "sip:alice@example.net", "x"});
  CHECK(texts[0] == "call-1@10.0.0.2");
  CHECK(texts[1].empty());
  CHECK(texts[2] == "sip:alice@example.net");
  CHECK(texts[3] == "x");
  const std::string longest(70'000, 'a');
  const Texts<2> cut({longest, "b"});
  CHECK(cut[0].size() == 65'535);
  CHECK(cut[1].empty());
}

TEST_CASE("packed texts come back, empty and long ones too") {
  PackedTexts texts;
  const std::vector<std::string> all{"call-1@10.0.0.2", "", std::string(254, 'b'), std::string(255, 'c'), std::string(65'535, 'd'), "e"};
  for (const std::string& text : all) texts.add(text);
  CHECK(std::ranges::equal(texts, all));
  CHECK(texts[0] == all[0]);
  CHECK(texts[4] == all[4]);
  CHECK(texts[5] == "e");
  PackedTexts cut;
  cut.add(std::string(70'000, 'a'));
  cut.add("b");
  CHECK(cut[0].size() == 65'535);
  CHECK(cut[1] == "b");
}

TEST_CASE("a ring pushes out the oldest, when more than it may hold are still there") {
  EndedRing ring(3);
  std::set<uint64_t> there;
  const auto push = [&](uint64_t id) {
    there.insert(id);
    ring.push(id);
    const uint64_t oldest = ring.take_oldest([&](uint64_t other) { return there.contains(other); });
    if (there.erase(oldest) != 0) ring.gone();
    return oldest;
  };
  for (uint64_t id = 1; id <= 3; ++id) CHECK(push(id) == 0);
  for (uint64_t id = 4; id <= 200; ++id) {
    CHECK(push(id) == id - 3);
    CHECK(ring.soon(0) == id - 2);  // with the next push, unless it goes before
    CHECK(ring.soon(2) == id);
    CHECK(ring.soon(3) == 0);
  }
  there.erase(199);
  ring.gone();
  CHECK(ring.soon(0) == 0);  // there is room for one more
  CHECK(push(201) == 0);     // 198, 200, 201
  CHECK(push(202) == 198);
  CHECK(push(203) == 200);
  for (uint64_t id : {201, 202, 203}) there.erase(id), ring.gone();
  for (uint64_t id = 300; id < 303; ++id) CHECK(push(id) == 0);
  CHECK(push(303) == 300);
  ring.push(400), ring.push(401);  // nobody asks what has to go
  there.insert({400, 401});
  for (uint64_t id : {301, 302}) {
    CHECK(ring.take_oldest([&](uint64_t other) { return there.contains(other); }) == id);
    there.erase(id), ring.gone();
  }
  CHECK(ring.take_oldest([&](uint64_t other) { return there.contains(other); }) == 0);
}

TEST_CASE("a few numbers: none, one in place, more in a list") {
  static_assert(sizeof(FewNumbers) == 8);
  FewNumbers few;
  std::vector<uint64_t> expected;
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    const uint64_t number = random() % 5 + 1 + (uint64_t{1} << 62);
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: CHECK(erase(few, number) == std::erase(expected, number)); break;
      case 3: {
        FewNumbers moved(std::move(few));
        CHECK(few.empty());
        few = std::move(moved);
        break;
      }
      case 4:
        if (round % 20 != 0) break;
        few = FewNumbers();
        expected.clear();
        break;
      case 5:
        if (round % 20 != 0) break;
        few.clear();
        CHECK(few.empty());
        few.assign(expected.begin(), expected.end());
        break;
      default: few.push_back(number), expected.push_back(number);
    }
    REQUIRE(std::ranges::equal(few, expected));
    REQUIRE(few.size() == expected.size());
    REQUIRE(few.contains(number) == (std::ranges::find(expected, number) != expected.end()));
    if (!expected.empty()) REQUIRE(few.back() == expected.back());
  }
}

TEST_CASE("a compact list is a vector in eight bytes") {
  static_assert(sizeof(CompactList<std::string>) == 8);
  CompactList<std::string> list;
  CHECK(list.empty());
  CHECK(list.begin() == list.end());
  list.clear();
  std::vector<std::string> expected;
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    const std::string text(random() % 40, static_cast<char>('a' + random() % 4));
    switch (random() % 8) {
      case 0: CHECK(erase(list, text) == std::erase(expected, text)); break;
      case 1: {
        const auto is_short = [&](const std::string& s) { return s.size() < text.size() / 8; };
        CHECK(erase_if(list, is_short) == std::erase_if(expected, is_short));
        break;
      }
      case 2: {
        if (expected.empty() || round % 50 != 2) break;
        CompactList<std::string> copy(list);
        list = std::move(copy);
        list = list;
        break;
      }
      case 3:
        if (expected.empty()) break;
        list.push_back(list.front());  // an item of its own
        expected.push_back(std::string(expected.front()));
        break;
      case 4:
        if (expected.size() < 200) break;
        list.clear();
        expected.clear();
        break;
      default: list.push_back(text), expected.push_back(text);
    }
    REQUIRE(std::ranges::equal(list, expected));
  }
  list.erase(&list.front());
  CHECK(list.size() == expected.size() - 1);
  CHECK(list.back() == expected.back());
}

namespace {

template <Found order> std::vector<uint64_t> found_of_one_hash(std::size_t others) {
  Slab<Record> slab;
  ChainIndex<Record, &Record::next, KeyHash, order> index(slab);
  std::vector<uint64_t> ids;
  for (uint64_t i = 1; i <= 3 + others; ++i) {
    const auto [id, record] = slab.add();
    record.key = i <= 3 ? 7 : i << 32;
    ids.push_back(id);
    index.insert(id);
  }
  std::vector<uint64_t> numbers;
  index.for_each(7, [&](const Record& record) {
    for (std::size_t i = 0; i < 3; ++i)
      if (&record == slab.find(ids[i])) numbers.push_back(i + 1);
  });
  return numbers;
}

}  // namespace

TEST_CASE("records of one hash are found in their order, however many others there are") {
  for (const std::size_t others : {0U, 40U, 100U, 500U, 5000U}) {
    CHECK(found_of_one_hash<Found::oldest_first>(others) == std::vector<uint64_t>{1, 2, 3});
    CHECK(found_of_one_hash<Found::newest_first>(others) == std::vector<uint64_t>{3, 2, 1});
  }
}

namespace {

// Counts how often it is asked: what a change of the index moves.
struct CountedHash {
  std::size_t* asked;
  std::size_t operator()(const Record& record) const { return ++*asked, record.key * 0x9e3779b97f4a7c15; }
};

}  // namespace

TEST_CASE("no record that comes or goes moves many others, however large the table is") {
  constexpr std::size_t many = 100'000;
  Slab<Record> slab;
  std::size_t asked = 0, most = 0;
  ChainIndex<Record, &Record::next, CountedHash, Found::newest_first, 8> index(slab, {&asked});
  std::vector<uint64_t> ids;
  const auto count = [&](const auto& change) {
    asked = 0;
    change();
    most = std::max(most, asked);
  };
  for (uint64_t key = 1; key <= many; ++key) {
    const auto [id, record] = slab.add();
    record.key = key;
    ids.push_back(id);
    count([&] { index.insert(id); });
  }
  const std::size_t hash = many / 2 * 0x9e3779b97f4a7c15;
  CHECK(slab.find(index.find(hash, [](const Record& r) { return r.key == many / 2; }))->key == many / 2);
  for (const uint64_t id : ids) {
    count([&] { index.erase(id); });
    slab.erase(id);
  }
  CHECK(index.size() == 0);
  CHECK(most <= 64);
}
