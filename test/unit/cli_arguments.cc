// SPDX-License-Identifier: GPL-2.0-or-later
// Endpoints, networks and files as they stand on the command line.
#include <catch2/catch.hpp>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/interface_check.h"
#include "cli/text_table.h"

using namespace sipalg;

TEST_CASE("endpoints of the command line") {
  struct Row {
    const char *text, *endpoint;
  };
  const Row rows[] = {
      {"10.0.0.2", "10.0.0.2:5060"},
      {"10.0.0.2:6000", "10.0.0.2:6000"},
      {"2001:db8::1", "[2001:db8::1]:5060"},
      {"[2001:db8::1]", "[2001:db8::1]:5060"},
      {"[2001:db8::1]:6000", "[2001:db8::1]:6000"},
      {"::1", "[::1]:5060"},
  };
  for (const Row& row : rows) CHECK(to_string(endpoint_argument("--inside", row.text)) == row.endpoint);
  CHECK(endpoint_argument("--outside", "10.0.0.2", 7000).port == 7000);
}

TEST_CASE("what is no endpoint ends with a usage error") {
  for (const char* text : {"", "x", "10.0.0", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0.2:5060 ", "[10.0.0.2]:5060",
                           "[2001:db8::1", "[2001:db8::1]:", "[2001:db8::1]:0", "[2001:db8::1]x", "sip.example.org"}) {
    INFO(text);
    try {
      endpoint_argument("--inside", text);
      FAIL("was taken");
    } catch (const CommandError& error) {
      CHECK(error.code() == exit_usage);
      CHECK_THAT(error.what(), Catch::StartsWith("--inside: '"));
    }
  }
}

TEST_CASE("networks and addresses of the command line") {
  CHECK(to_string(network_argument("--inside", "10.1.2.3/8")) == "10.0.0.0/8");
  CHECK(to_string(address_argument("--outside", "2001:DB8::1")) == "2001:db8::1");
  CHECK_THROWS_AS(network_argument("--inside", "10.0.0.0/33"), CommandError);
  CHECK_THROWS_AS(address_argument("--outside", "203.0.113.1:5060"), CommandError);
}

TEST_CASE("a file's prefix tells where its datagram comes from") {
  CHECK(datagram_argument("in:a.sip", Side::inside).from == Side::outside);
  CHECK(datagram_argument("out:a.sip", Side::outside).from == Side::inside);
  CHECK(datagram_argument("a.sip", Side::outside).from == Side::outside);
  CHECK(datagram_argument("in:-", Side::inside).file == "-");
  CHECK(datagram_argument("inbound.sip", Side::inside).file == "inbound.sip");
}

TEST_CASE("a file that is not there is told") {
  CHECK_THROWS_WITH(read_datagram("/nonexistent/x.sip"), Catch::Contains("/nonexistent/x.sip"));
  CHECK_THROWS_WITH(read_datagram("/dev/zero"), Catch::Contains("larger"));
}

TEST_CASE("nobody answers: exit code 3 and what to do") {
  try {
    fetch("/nonexistent/control.sock", {});
    FAIL("somebody answered");
  } catch (const CommandError& error) {
    CHECK(error.code() == exit_no_daemon);
    CHECK_THAT(error.what(), Catch::Contains("is sipalgd running?"));
  }
}

TEST_CASE("interfaces that are not there, or are ports of a bridge, are told with their line") {
  const auto sysfs = std::filesystem::temp_directory_path() / ("sipalg-cli-" + std::to_string(getpid()));
  const auto warnings = [&sysfs](const char* name) {
    return interface_warnings({{{"lan", {{name, 7}}}}, {}}, "x.toml", sysfs);
  };
  CHECK(warnings("lo").empty());  // the one that every machine has
  for (const char* missing : {"nowhere0", "nowhere*"}) {
    REQUIRE(warnings(missing).size() == 1);
    CHECK_THAT(warnings(missing)[0], Catch::StartsWith("x.toml:7: warning: there is no interface " + std::string(missing) + " now"));
  }
  std::filesystem::create_directories(sysfs / "lo");
  std::filesystem::create_symlink("../br0", sysfs / "lo" / "master");
  REQUIRE(warnings("l*").size() == 1);
  CHECK_THAT(warnings("l*")[0], Catch::StartsWith("x.toml:7: warning: packets of lo come and go as those of br0"));
  std::filesystem::remove_all(sysfs);
}

TEST_CASE("durations for people") {
  CHECK(duration_text(999) == "0s");
  CHECK(duration_text(61'000) == "1m 1s");
  CHECK(duration_text(3'661'000) == "1h 1m");
  CHECK(duration_text(90'000'000) == "1d 1h");
}
