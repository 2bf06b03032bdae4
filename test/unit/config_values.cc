// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>

#include "alg/daemon/rate_limit.h"
#include "alg/daemon/values.h"

using namespace sipalg;
using namespace std::chrono_literals;

TEST_CASE("durations there and back") {
  for (const char* text : {"1ms", "90s", "15min", "1h", "36h", "30d"}) CHECK(to_string(*parse_duration(text)) == text);
  CHECK(to_string(*parse_duration("24h")) == "1d");
  CHECK(to_string(0ms) == "0s");
  for (const char* text : {"", "1", "h", "1 h", "-1h", "1.5h", "1H", "31d", "1h30min", "99999999999s", "4294967295d"})
    CHECK_FALSE(parse_duration(text));
}

TEST_CASE("port ranges there and back") {
  CHECK(to_string(*parse_port_range("16384-65535")) == "16384-65535");
  CHECK(to_string(*parse_port_range("5060-5060")) == "5060");
  for (const char* text : {"", "-", "1-", "-1", "0", "0-9", "9-1", "65536", "1-2-3", "a", "1 - 2"}) CHECK_FALSE(parse_port_range(text));
}

TEST_CASE("a rate limit lets a few through and counts the rest") {
  RateLimit limit(2, 1min);
  Instant now{};
  CHECK(limit.admit(now) == 0U);
  CHECK(limit.admit(now) == 0U);
  CHECK_FALSE(limit.admit(now));
  CHECK_FALSE(limit.admit(now + 59s));
  CHECK(limit.admit(now + 60s) == 2U);
  CHECK(limit.admit(now + 61s) == 0U);
}
