// SPDX-License-Identifier: GPL-2.0-or-later
// The lines between daemon and sipalgctl: bounds, pieces, and what is no request.
#include <catch2/catch.hpp>

#include "alg/control/protocol.h"
#include "test/corpus/corpus.h"

using namespace sipalg;
using namespace sipalg::control;
using sipalg::test::Exact;

TEST_CASE("every command goes there and back") {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Command::count_); ++i) {
    const Request request{static_cast<Command>(i), "a84b4c76e66710@pc33"};
    std::string line = to_line(request);
    REQUIRE(line.back() == '\n');
    line.pop_back();
    const auto parsed = parse_request(Exact(line).view());
    REQUIRE(parsed);
    CHECK(parsed->command == request.command);
    CHECK(parsed->argument == request.argument);
  }
}

TEST_CASE("what is no request is told with its cure") {
  struct Row {
    const char *line, *text;
  };
  const Row rows[] = {
      {"", "no JSON object"},
      {"\0", "no JSON object"},
      {"{", "no JSON object"},
      {"[1]", "no JSON object"},
      {"\"stats\"", "no JSON object"},
      {R"({"version":1,"command":"stats"} more)", "no JSON object"},
      {R"({"command":"stats"})", "no version"},
      {R"({"version":"1","command":"stats"})", "no version"},
      {R"({"version":1.0,"command":"stats"})", "no version"},
      {R"({"version":2,"command":"stats"})", "version 2 is not spoken"},
      {R"({"version":1})", "no command"},
      {R"({"version":1,"command":7})", "no command"},
      {R"({"version":1,"command":"reboot"})", "unknown command 'reboot'"},
      {"{\"version\":1,\"command\":\"\\u001b[2J\"}", "unknown command '\\x1b[2J'"},
      {R"({"version":1,"command":"call"})", "Call-ID is missing"},
      {R"({"version":1,"command":"call","argument":""})", "Call-ID is missing"},
      {R"({"version":1,"command":"call","argument":["x"]})", "Call-ID is missing"},
      {R"({"version":1,"command":"clear-call"})", "Call-ID is missing"},
      {R"({"version":1,"command":"clear-call","argument":""})", "Call-ID is missing"},
      {"\xff\xfe{}", "no JSON object"},
  };
  for (const Row& row : rows) {
    INFO(row.line);
    const auto parsed = parse_request(Exact(row.line).view());
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().text, Catch::Contains(row.text));
    CHECK_FALSE(parsed.error().cure.empty());
  }
}

TEST_CASE("deep nesting is read or refused, and nothing else") {
  const std::string deep = std::string(4000, '[');
  CHECK_FALSE(parse_request(deep));
  CHECK_FALSE(parse_request(deep + std::string(4000, ']')));
}

TEST_CASE("keys of a newer sipalgctl are passed over") {
  CHECK(parse_request(R"({"version":1,"command":"doors","filter":{"scope":"any"}})"));
}

TEST_CASE("answers go there and back") {
  std::string line = to_line(std::expected<Json, Error>(Json{{"total", 3}}));
  line.pop_back();
  const auto answer = parse_answer(line);
  REQUIRE(answer);
  CHECK((*answer)["total"] == 3);

  line = to_line(std::expected<Json, Error>(std::unexpected(Error{"no such call", "list them"})));
  line.pop_back();
  const auto refused = parse_answer(line);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text == "no such call");
  CHECK(refused.error().cure == "list them");
}

TEST_CASE("an answer is one line whatever is in it") {
  const std::string line = to_line(std::expected<Json, Error>(Json("two\nlines \xff")));
  CHECK(line.find('\n') == line.size() - 1);
}

TEST_CASE("an answer beyond the bound becomes an error") {
  const std::string line = to_line(std::expected<Json, Error>(Json(std::string(answer_bytes, 'x'))));
  CHECK(line.size() < 1000);
  CHECK_THAT(line, Catch::Contains("too large"));
}

TEST_CASE("a line comes in pieces") {
  const std::string text = to_line(Request{Command::call, "c1@10.0.0.2"});
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    LineBuffer buffer(request_bytes);
    const auto first = buffer.append(std::string_view(text).substr(0, cut));
    CHECK((first == LineBuffer::State::complete) == (cut == text.size()));
    CHECK(buffer.append(std::string_view(text).substr(cut)) == LineBuffer::State::complete);
    CHECK(std::string(buffer.line()) + "\n" == text);
  }
}

TEST_CASE("a line is never longer than its bound") {
  LineBuffer buffer(8);
  CHECK(buffer.append("12345678") == LineBuffer::State::incomplete);
  CHECK(buffer.append("\n") == LineBuffer::State::complete);
  CHECK(buffer.append("more\n") == LineBuffer::State::complete);
  CHECK(buffer.line() == "12345678");
  LineBuffer small(8);
  CHECK(small.append("1234") == LineBuffer::State::incomplete);
  CHECK(small.append("56789\n") == LineBuffer::State::too_long);
  CHECK(small.append("\n") == LineBuffer::State::too_long);
}
