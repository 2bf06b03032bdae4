// SPDX-License-Identifier: GPL-2.0-or-later
// Sixteen bytes at a time: the same as byte by byte, wherever a text begins and ends.
#include <catch2/catch.hpp>
#include <vector>

#include "alg/base/lines.h"
#include "alg/base/lower_word.h"
#include "alg/base/text.h"
#include "test/corpus/corpus.h"

using namespace sipalg;
using test::Exact;

namespace {

struct Walk {
  std::vector<std::string> lines;
  std::string others;
  std::size_t rest = 0;
  friend bool operator==(const Walk&, const Walk&) = default;
};

Walk walk(std::string_view text) {
  Walk walk;
  const char* rest = walk_lines(
      text,
      [&](const char* first, const char* end, const char* behind) {
        walk.lines.emplace_back(first, end);
        REQUIRE(behind[-1] == '\n');
        return true;
      },
      [&](const char* at) {
        walk.others += *at;
        return true;
      });
  walk.rest = static_cast<std::size_t>(rest - text.data());
  return walk;
}

Walk walk_slowly(std::string_view text) {
  Walk walk;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_pair = text.substr(at).starts_with("\r\n");
    if (is_pair || text[at] == '\n') {
      walk.lines.emplace_back(text.substr(walk.rest, at - walk.rest));
      at += is_pair ? 1 : 0;
      walk.rest = at + 1;
    } else if (static_cast<unsigned char>(text[at]) < 16) {
      walk.others += text[at];
    }
  }
  return walk;
}

}  // namespace

TEST_CASE("lines are found wherever they end") {
  const std::string_view ends[] = {"\r\n",     "\n",   "\r",       std::string_view("\0", 1), "\t",
                                   "\r\r\n", "\n\r", "\r\n\r\n", "\x10\x0f\xff\x8a\n"};
  for (std::size_t before = 0; before < 140; ++before)
    for (std::string_view end : ends)
      for (std::size_t behind : {0, 1, 15, 63, 64, 65}) {
        const std::string text = std::string(before, 'x') + std::string(end) + std::string(behind, 'y') + "\r\nz";
        for (std::size_t cut : {0, 1, 2, 3}) {
          const Exact exact(std::string_view(text).substr(0, text.size() - cut));
          const bool is_same = walk(exact) == walk_slowly(exact);
          INFO(escaped(exact.view()));
          REQUIRE(is_same);
        }
      }
}

TEST_CASE("walking over lines stops where it is told to") {
  const Exact text("one\r\ntwo\nthree\n");
  std::size_t lines = 0;
  const char* rest = walk_lines(text.view(), [&](auto, auto, auto) { return ++lines < 2; }, [](auto) { return true; });
  CHECK(std::string_view(rest, 3) == "two");
}

TEST_CASE("a bit for each byte") {
  for (unsigned byte = 0; byte < 256; ++byte)
    for (std::size_t place = 0; place < 16; ++place) {
      std::string text(16, static_cast<char>(byte ^ 0xff));
      text[place] = static_cast<char>(byte);
      const Sixteen bytes(text.data());
      REQUIRE(Sixteen::bits(bytes.are(text[place])) == Bits{1} << place);
      const auto expected = [&](auto holds) {
        Bits bits = 0;
        for (std::size_t i = 0; i < 16; ++i) bits |= Bits{holds(static_cast<unsigned char>(text[i]))} << i;
        return bits;
      };
      REQUIRE(Sixteen::bits(bytes.are_at_most(',')) == expected([](unsigned c) { return c <= ','; }));
      REQUIRE(Sixteen::bits(bytes.are_below_16()) == expected([](unsigned c) { return c < 16; }));
      REQUIRE(Sixteen::bits(bytes.are_between(':', '@')) == expected([](unsigned c) { return c >= ':' && c <= '@'; }));
      REQUIRE(Sixteen::bits(bytes.with_bit(0x20).are('a')) == expected([](unsigned c) { return (c | 0x20) == 'a'; }));
    }
}

TEST_CASE("words are known in any case") {
  CHECK(is_word<"tag">(Exact("TaG")));
  CHECK(is_word<"lr">(Exact("lr")));
  CHECK(is_word<"maddr">(Exact("MADDR")));
  CHECK(is_word<"received">(Exact("Received")));
  CHECK(is_word<"transport">(Exact("transporT")));
  for (const char* text : {"", "ta", "tagg", "tab", "\x14" "ag"})
    CHECK_FALSE(is_word<"tag">(Exact(text)));
  for (const char* text : {"transpor", "transporx", "trAnspoet", "xransport"}) CHECK_FALSE(is_word<"transport">(Exact(text)));
}
