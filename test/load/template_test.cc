// SPDX-License-Identifier: GPL-2.0-or-later
// The load generator sees every byte that differs.
#include <catch2/catch.hpp>

#include "test/load/messages.h"

using namespace sipalg::load;

namespace {
const Ends inside{"10.0.0.2", 20000, "203.0.113.2", 5060}, outside{"203.0.113.1", 20000, "203.0.113.2", 5060};
const Values values{7, 123, 1'000'001, 10'004};

template <typename Each>
void for_each_kind(const Each& each) {
  for (std::size_t i = 0; i < kinds; ++i) each(static_cast<Kind>(i));
}
}  // namespace

TEST_CASE("a template reads back the numbers it wrote") {
  for_each_kind([](Kind kind) {
    const Template text(marked_text(kind, {}, inside, inside));
    Values read{};
    REQUIRE(text.read(text.text(values), read));
    CHECK(read[0] == values[0]);
    CHECK(read[1] == values[1]);
    CHECK(read[2] == values[2]);
  });
}

TEST_CASE("one byte that differs is seen wherever it stands") {
  for_each_kind([](Kind kind) {
    const Template text(marked_text(kind, {"UDP", true}, inside, inside));
    const std::string message = text.text(values);
    for (std::size_t i = 0; i < message.size(); ++i) {
      std::string changed = message;
      changed[i] = '!';
      Values read{};
      CHECK_FALSE(text.read(changed, read));
    }
  });
}

TEST_CASE("a number that stands twice must be the same twice") {
  const Template text("{call} and {call}, {media}");
  Values read{};
  CHECK(text.read("000000001 and 000000001, 10000", read));
  CHECK_FALSE(text.read("000000001 and 000000002, 10000", read));
}

TEST_CASE("a message of another length is none of ours") {
  const Template text("{call}.");
  Values read{};
  CHECK_FALSE(text.read("000000001", read));
  CHECK_FALSE(text.read("000000001. ", read));
}

TEST_CASE("every kind is told from every other by its text") {
  for_each_kind([](Kind one) {
    for_each_kind([one](Kind other) {
      Values read{};
      const Template reader(marked_text(other, {}, inside, outside));
      CHECK(reader.read(Template(marked_text(one, {}, inside, outside)).text(values), read) == (one == other));
    });
  });
}

TEST_CASE("large messages are large where they are written") {
  for_each_kind([](Kind kind) {
    const Ends& writer = leaves_inside(kind) ? inside : outside;
    CHECK(Template(marked_text(kind, {"TCP", true}, writer, writer)).size() == large_bytes);
  });
}
