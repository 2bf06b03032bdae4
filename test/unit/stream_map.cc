// SPDX-License-Identifier: GPL-2.0-or-later
// The sequence map and reassembly: literal places, and the map against a byte by byte one.
#include <catch2/catch.hpp>
#include <random>

#include "alg/stream/half.h"
#include "alg/stream/reassembly.h"
#include "alg/stream/sequence_map.h"

using namespace sipalg;

namespace {

SequenceMap grown_and_shrunk() {
  SequenceMap map;
  map.append(10, 20, std::string(15, 'G'), true);  // out [10,25)
  map.append(30, 40, std::string(4, 'S'), true);   // out [35,39)
  return map;
}

}  // namespace

TEST_CASE("positions through blocks that grew and shrank") {
  const SequenceMap map = grown_and_shrunk();
  struct Case { Position in, out; };
  for (const Case& c : {Case{0, 0}, Case{10, 10}, Case{15, 15}, Case{19, 19}, Case{20, 25}, Case{29, 34}, Case{30, 35}, Case{33, 38}, Case{34, 39}, Case{39, 39}, Case{40, 39}, Case{50, 49}}) {
    INFO(c.in);
    CHECK(map.to_out(c.in) == c.out);
  }
  // of the block that grew the last byte stays unacknowledged until all of it is there
  for (const Case& c : {Case{10, 10}, Case{19, 19}, Case{19, 24}, Case{20, 25}, Case{30, 35}, Case{33, 38}, Case{40, 39}, Case{41, 40}}) {
    INFO(c.out);
    CHECK(map.to_in(c.out) == c.in);
  }
  CHECK(map.first_in(10) == 10);
  CHECK(map.first_in(22) == 20);
  CHECK(map.first_in(25) == 20);
  CHECK(map.first_in(39) == 34);
  CHECK(map.first_in(40) == 41);
}

TEST_CASE("an acknowledged block leaves its shift") {
  SequenceMap map = grown_and_shrunk();
  CHECK(map.kept_bytes() == 19);
  map.acknowledge(24);
  CHECK(map.blocks().size() == 2);
  map.acknowledge(25);
  CHECK(map.blocks().size() == 1);
  CHECK(map.to_out(25) == 30);
  CHECK(map.to_in(30) == 25);
  map.acknowledge(1000);
  CHECK(map.blocks().empty());
  CHECK(map.shift_before() == -1);
  CHECK(map.to_out(100) == 99);
  CHECK_FALSE(map.is_faithful());
  CHECK(map.kept_bytes() == 0);
}

TEST_CASE("equal edits end faithful again; unedited blocks never shift") {
  SequenceMap map;
  map.append(0, 5, "hello", false);
  CHECK(map.is_faithful());
  map.append(5, 8, "new", true);
  CHECK_FALSE(map.is_faithful());
  map.acknowledge(8);
  CHECK(map.is_faithful());
}

TEST_CASE("kept bytes are read across blocks up to a gap") {
  SequenceMap map;
  map.append(0, 3, "abc", false);
  map.append(3, 4, "DEFG", true);
  map.append(10, 12, "xy", false);  // out [13,15)
  std::string bytes;
  CHECK(map.read(1, 100, bytes) == 6);
  CHECK(bytes == "bcDEFG");
  CHECK(map.has(6));
  CHECK_FALSE(map.has(7));
  CHECK(map.next_kept(7) == 13);
  bytes.clear();
  CHECK(map.read(13, 1, bytes) == 1);
  CHECK(bytes == "x");
}

TEST_CASE("random maps: monotone, and never acknowledging what is not there") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    SequenceMap map;
    Position at = 0;
    for (int i = 0; i < 6; ++i) {
      at += static_cast<Position>(random() % 5);
      const auto size = static_cast<Position>(1 + random() % 9);
      map.append(at, at + size, std::string(1 + random() % 12, 'x'), true);
      at += size;
    }
    const Position most = map.to_out(at) + 5;
    for (Position in = 0; in < at + 5; ++in) REQUIRE(map.to_out(in) <= map.to_out(in + 1));
    for (Position out = 0; out < most; ++out) {
      const Position in = map.to_in(out);
      REQUIRE(map.to_out(in) <= out);
      REQUIRE(map.to_out(in + 1) > out);
      REQUIRE(map.to_out(map.first_in(out)) >= out);
      REQUIRE((map.first_in(out) == 0 || map.to_out(map.first_in(out) - 1) < out));
    }
  }
}

TEST_CASE("sequence numbers wrap, positions do not") {
  Half half;
  SegmentView syn;
  syn.sequence = 0xfffffff0U;
  half.open(syn);
  CHECK(half.sequence_of(0) == 0xfffffff1U);
  CHECK(half.sequence_of(15) == 0);
  CHECK(half.position_of(5, 0) == 20);
  CHECK(half.position_of(0xfffffff0U, 0) == -1);
  const Position far = (Position{7} << 32) + 3;
  CHECK(half.position_of(half.sequence_of(far), far - 1'000'000) == far);
  CHECK(half.position_of(half.sequence_of(far), far + 1'000'000) == far);
}

TEST_CASE("disordered pieces: overlaps keep what came first") {
  Reassembly pieces;
  pieces.add(10, "jklm");
  pieces.add(5, "fghiXX");     // overlaps j
  pieces.add(20, "uv");
  pieces.add(12, "YYYNOPQ");   // l, m are there already
  CHECK(pieces.bytes() == 5 + 4 + 2 + 5 + 4 * Reassembly::bytes_of_piece);
  std::vector<std::pair<Position, Position>> runs;
  pieces.for_each_run([&](Position begin, Position end) { runs.emplace_back(begin, end); });
  CHECK(runs == std::vector<std::pair<Position, Position>>{{20, 22}, {5, 19}});
  std::string bytes = "e";
  CHECK(pieces.take(4, bytes) == 4);
  CHECK(pieces.take(5, bytes) == 19);
  CHECK(bytes == "efghiXjklmYNOPQ");
  CHECK(pieces.take(21, bytes) == 22);
  CHECK(pieces.empty());
  CHECK(pieces.bytes() == 0);
}
