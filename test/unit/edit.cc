// SPDX-License-Identifier: GPL-2.0-or-later
// The edit list against the plainest possible model of it.
#include <catch2/catch.hpp>
#include <random>

#include "alg/base/limits.h"
#include "alg/edit/edit_list.h"
#include "test/corpus/corpus.h"

using namespace sipalg;

namespace {

std::string applied(std::string_view message, const EditList& edits) {
  std::string out = "left over";
  apply(test::Exact(message), edits, out);
  return out;
}

}  // namespace

TEST_CASE("edits come out in the order of the message, whatever the order they came in") {
  EditList edits;
  CHECK(applied("abcdef", edits) == "abcdef");
  REQUIRE(edits.add({4, 6}, Field::contact, "EFG"));
  REQUIRE(edits.add({0, 1}, Field::via, ""));
  REQUIRE(edits.add({2, 2}, Field::from, "-"));
  CHECK(applied("abcdef", edits) == "b-cdEFG");
  CHECK(edits.size() == 3);
  CHECK(edits.edits()[0].field == Field::via);
  CHECK(edits.text(edits.edits()[2]) == "EFG");
}

TEST_CASE("overlap is refused, touching is not") {
  struct Case { Span first, second; bool fits; };
  for (const Case& c : {Case{{2, 4}, {4, 6}, true}, Case{{2, 4}, {0, 2}, true}, Case{{2, 4}, {3, 5}, false}, Case{{2, 4}, {1, 3}, false},
                        Case{{2, 4}, {2, 4}, false}, Case{{2, 6}, {3, 4}, false}, Case{{3, 4}, {2, 6}, false}, Case{{2, 4}, {3, 3}, false},
                        Case{{3, 3}, {2, 4}, false}, Case{{2, 4}, {2, 2}, true}, Case{{2, 4}, {4, 4}, true}, Case{{3, 3}, {3, 3}, false},
                        Case{{3, 3}, {3, 5}, true}, Case{{3, 3}, {1, 3}, true}, Case{{2, 4}, {5, 4}, false}}) {
    EditList edits;
    REQUIRE(edits.add(c.first, Field::via, "x"));
    INFO(c.first.begin << "-" << c.first.end << " " << c.second.begin << "-" << c.second.end);
    CHECK(edits.add(c.second, Field::via, "y") == c.fits);
    CHECK(edits.size() == (c.fits ? 2 : 1));
  }
}

TEST_CASE("growth counts the edits inside") {
  EditList edits;
  REQUIRE(edits.add({1, 3}, Field::via, "12345"));
  REQUIRE(edits.add({5, 9}, Field::sdp_media, ""));
  CHECK(edits.growth(0, 10) == -1);
  CHECK(edits.growth(0, 4) == 3);
  CHECK(edits.growth(5, 9) == -4);
  CHECK(edits.growth(6, 10) == 0);
}

TEST_CASE("a group that failed leaves nothing") {
  EditList edits;
  REQUIRE(edits.add({10, 12}, Field::via, "kept"));
  const auto outer = edits.mark();
  REQUIRE(edits.add({2, 4}, Field::contact, "outer"));
  const auto inner = edits.mark();
  REQUIRE(edits.add({0, 1}, Field::route, "inner"));
  REQUIRE(edits.add({20, 21}, Field::route, "inner too"));
  edits.rollback(inner);
  CHECK(edits.size() == 2);
  REQUIRE(edits.add({0, 1}, Field::route, "again"));
  edits.rollback(outer);
  REQUIRE(edits.size() == 1);
  CHECK(edits.text(edits.edits()[0]) == "kept");
  REQUIRE(edits.add({2, 4}, Field::contact, "new"));
  CHECK(edits.text(edits.edits()[0]) == "new");
  CHECK(edits.text(edits.edits()[1]) == "kept");
  edits.clear();
  CHECK(edits.empty());
}

TEST_CASE("the list has an end") {
  EditList edits;
  for (uint32_t i = 0; i < limits::edits; ++i) REQUIRE(edits.add({i, i + 1}, Field::via, "x"));
  CHECK_FALSE(edits.add({9999, 10000}, Field::via, "x"));
}

TEST_CASE("every field has a name") {
  for (int i = 0; i <= static_cast<int>(Field::content_length); ++i) CHECK(name_of(static_cast<Field>(i)) != "unknown");
}

TEST_CASE("random edits equal a byte by byte model") {
  std::mt19937 random(7);
  const auto below = [&random](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 500; ++round) {
    std::string message(40, '.');
    for (char& c : message) c = static_cast<char>('a' + below(26));
    std::vector<std::string> model(41);  // model[i]: what stands for byte i, with what is inserted before it
    for (std::size_t i = 0; i < 40; ++i) model[i] = message.substr(i, 1);
    EditList edits;
    for (int n = 0; n < 12; ++n) {
      const uint32_t begin = below(40), end = begin + 1 + below(std::min(6U, 40 - begin));
      const std::string text(below(5), 'X');
      if (!edits.add({begin, end}, Field::via, text)) continue;
      for (uint32_t i = begin; i < end; ++i) model[i].clear();
      model[begin] = text;
    }
    std::string expected;
    for (const auto& piece : model) expected += piece;
    CHECK(applied(message, edits) == expected);
    CHECK(static_cast<long>(message.size()) + edits.growth(0, 40) == static_cast<long>(expected.size()));
  }
}
