// SPDX-License-Identifier: GPL-2.0-or-later
// Answers of the daemon as people see them.
#include <catch2/catch.hpp>

#include <sstream>

#include "cli/show.h"

using namespace sipalg;

TEST_CASE("what the daemon found out is text, not JSON") {
  const Json udp{{"protocol", "udp"}, {"on", true}, {"ports", {5060, 5070}}, {"draining", {5080}}, {"differs", true}};
  const Json tcp{{"protocol", "tcp"}, {"on", false}, {"ports", {5060}}, {"draining", Json::array()}, {"differs", false}};
  const Json answer{{"config", {{"queue", 5060}}},
                    {"in_force",
                     {{"inside", {"10.0.0.0/24", "fd00::/64"}},
                      {"router", Json::array()},
                      {"steering", "native"},
                      {"service", {udp, tcp}},
                      {"expect_max", 4096}}}};
  std::ostringstream out;
  show_config(answer, out);
  CHECK(out.str() ==
        "queue = 5060\n"
        "\n"
        "# found out:\n"
        "# inside: 10.0.0.0/24, fd00::/64\n"
        "# router: -\n"
        "# steering: native\n"
        "# service: udp on, ports 5060, 5070, draining 5080; not as the file says, `sipalgctl service list` tells more\n"
        "# service: tcp off, ports 5060\n"
        "# expect_max: 4096\n");
}
