// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration file: every error has a line and a cure, and the shipped file says what holds without it.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "alg/daemon/config.h"
#include "alg/daemon/config_keys.h"

using namespace sipalg;

namespace {

std::vector<ConfigError> errors_of(std::string_view text) {
  try {
    parse_config(text, "x.toml");
  } catch (const BadConfig& bad) {
    return bad.errors();
  }
  return {};
}

std::string shipped() {
  std::ifstream file(SIPALG_SOURCE "/systemd/sipalgd.toml");
  REQUIRE(file);
  return (std::stringstream() << file.rdbuf()).str();
}

// Settings that are commented out, taken in: "# key = value" and nothing else.
std::string uncommented(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line); out += line + "\n") {
    const std::size_t equals = line.find(" = ");
    const bool is_setting = line.starts_with("# ") && equals != std::string::npos &&
                            line.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", 2) == equals;
    if (is_setting) line.erase(0, 2);
  }
  return out;
}

}  // namespace

TEST_CASE("each error is told with its place, what is expected and a cure") {
  struct Row {
    const char* text;
    uint32_t line, column;
    const char* told;
  };
  const Row rows[] = {
      {"\n  qeue = 5", 2, 3, "unknown key `qeue`; did you mean `queue`?"},
      {"x = 1", 1, 1, "unknown key `x`; sipalgd.toml(5) lists the keys"},
      {"udp = true", 1, 1, "unknown key `udp`; it belongs into [service]"},
      {"[service]\nqueue = 1", 2, 1, "unknown key `queue` in [service]; it belongs above the first [section]"},
      {"[servise]\nudp = true", 1, 2, "unknown section `servise`; did you mean [service]?"},
      {"[srvice]\nudp = true", 1, 2, "unknown section `srvice`; did you mean [service]?"},
      {"[[srvice]]\nudp = true", 1, 3, "unknown section `srvice`; did you mean [service]?"},
      {"[other]\nudp = true", 1, 2, "unknown section `other`; sipalgd.toml(5) lists the keys"},
      {"service = 1", 1, 1, "`service` is a section; write [service]"},
      {"a = = 1", 1, 5, "this is no TOML"},
      {"queue = 1\nqueue = 2", 2, 0, "this is no TOML"},
      {"inside = \"10.0.0.0/8\"", 1, 10, "bad value for `inside`; expected a list of at most 256 networks or addresses, none of"},
      {"inside = [\"10.0.0.0/33\"]", 1, 11, "bad item `10.0.0.0/33` in `inside`; expected a list of at most 256"},
      {"inside = [\n\"10.0.0.0/8\",\n\n  \"10.300.0.0/16\",\n]", 4, 3, "bad item `10.300.0.0/16` in `inside`"},
      {"inside = [\"224.0.0.0/4\"]", 1, 11, "bad item `224.0.0.0/4` in `inside`"},
      {"inside = [\"239.1.2.0/24\"]", 1, 11, "none of multicast or loopback; for example: inside = "},
      {"inside = [\"ff02::/16\"]", 1, 11, "bad item `ff02::/16` in `inside`"},
      {"inside = [\"127.0.0.1\"]", 1, 11, "bad item `127.0.0.1` in `inside`"},
      {"inside = [\"127.0.0.0/8\"]", 1, 11, "bad item `127.0.0.0/8` in `inside`"},
      {"inside = [\"::1\"]", 1, 11, "bad item `::1` in `inside`"},
      {"inside = [\"0.0.0.0\"]", 1, 11, "bad item `0.0.0.0` in `inside`"},
      {"inside = [\"255.255.255.255\"]", 1, 11, "bad item `255.255.255.255` in `inside`"},
      {"pbx = [1]", 1, 8, "bad item `1` in `pbx`; expected a list of at most 256 addresses or networks"},
      {"pbx = [true]", 1, 8, "bad item in `pbx`"},
      {"signalling-peers = [\"example.org\"]", 1, 21, "bad item `example.org` in `signalling-peers`"},
      {"signalling-source = \"all\"", 1, 21, "expected \"registrar\" or \"any\""},
      {"signalling-source = true", 1, 21, "expected \"registrar\" or \"any\""},
      {"second-opinion = \"yes\"", 1, 18, "expected true or false"},
      {"media-ports = \"80-90\"", 1, 15, "expected two ports"},
      {"media-ports = \"5000-4000\"", 1, 15, "expected two ports"},
      {"media-ports = \"16384-70000\"", 1, 15, "expected two ports"},
      {"media-ports = \"1024-1026\"", 1, 15, "joined by a dash, which make at least four ports; for example"},
      {"reserved-ports = [0]", 1, 19, "bad item `0` in `reserved-ports`; expected a list of at most 256 ports or"},
      {"reserved-ports = [\"1-2-3\"]", 1, 19, "bad item `1-2-3` in `reserved-ports`"},
      {"\nreserved-ports = [\"1-65535\"]", 2, 18, "`reserved-ports` leave no port for media; expected"},
      {"media-ports = \"20000-20003\"\nreserved-ports = [20001, 20002]", 2, 18, "of `media-ports`, 20000-20003, an even"},
      {"call-idle = 3600", 1, 13, "expected a duration from 60s to 30d"},
      {"call-idle = \"1 hour\"", 1, 13, "expected a duration"},
      {"call-idle = \"59s\"", 1, 13, "expected a duration"},
      {"call-idle-held = \"31d\"", 1, 18, "expected a duration"},
      {"steering = \"off\"", 1, 12, "expected \"auto\" or \"manual\""},
      {"queue = 65536", 1, 9, "expected a queue number"},
      {"queue = -1", 1, 9, "expected a queue number"},
      {"queue = 1.5", 1, 9, "expected a queue number"},
      {"workers = 0", 1, 11, "expected a number from 1 to 64"},
      {"workers = 65", 1, 11, "expected a number from 1 to 64"},
      {"table = \"a b\"", 1, 9, "expected a name"},
      {"table = \"\"", 1, 9, "expected a name"},
      {"table = \"_a\"", 1, 9, "that begins with a letter"},
      {"table = \"1a\"", 1, 9, "that begins with a letter"},
      {"table = \"table\"", 1, 9, "and no word of nft's language; for example: table = \"sipalg\""},
      {"control-socket = \"run.sock\"", 1, 18, "expected an absolute path"},
      {"log-level = \"verbose\"", 1, 13, "expected \"error\""},
      {"[service]\nports = []", 2, 9, "expected a list of 1 to 16 ports"},
      {"[service]\nports = [5060, 0]", 2, 16, "bad item `0` in `service.ports`; expected a list of 1 to 16 ports"},
      {"[service]\nports = 5060", 2, 9, "expected a list of 1 to 16 ports"},
      {"[service]\nudp = 1", 2, 7, "expected true or false"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto errors = errors_of(row.text);
    REQUIRE(errors.size() == 1);
    const std::string told = to_string(errors[0]);
    CHECK(errors[0].line == row.line);
    if (row.column != 0) CHECK(errors[0].column == row.column);
    CHECK_THAT(told, Catch::StartsWith("x.toml:" + std::to_string(row.line) + ":"));
    CHECK_THAT(told, Catch::Contains(row.told));
    CHECK_FALSE(errors[0].cure.empty());
  }
}

TEST_CASE("keys that do not go together are refused at one of them, and what to do is told") {
  struct Row {
    const char* text;
    uint32_t line, column;
    const char* told;
  };
  const Row rows[] = {
      {"workers = 2\nsteering = \"manual\"", 1, 11, "expected one of the two keys only; sipalgd spreads"},
      {"\nqueue = 65533", 2, 9, "expected a queue number from 0 to 65532; each worker"},
      {"queue = 65535", 1, 9, "expected a queue number from 0 to 65532; each worker"},
      {"workers = 18\nqueue = 65500", 2, 9, "expected a queue number from 0 to 65498 with `workers = 18`; each"},
      {"queue = 65500\nworkers = 64", 1, 9, "expected a queue number from 0 to 65406 with `workers = 64`; each"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto errors = errors_of(row.text);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].line == row.line);
    CHECK(errors[0].column == row.column);
    CHECK_THAT(to_string(errors[0]), Catch::Contains(row.told));
    CHECK_THAT(errors[0].cure, Catch::Contains("for example: "));
  }
  CHECK(parse_config("queue = 65532", "x.toml").queue == 65532);
  CHECK(parse_config("queue = 65500\nworkers = 17", "x.toml").workers == 17);
  CHECK(parse_config("steering = \"manual\"", "x.toml").workers == 1);
  CHECK(errors_of("media-ports = \"1025-1028\"\nreserved-ports = [1025, \"1028-65535\"]").empty());
}

TEST_CASE("every bad item of a list is told, and a list that is too long") {
  const auto errors = errors_of("pbx = [\"10.0.0.1\", \"here\",\n7]");
  REQUIRE(errors.size() == 2);
  CHECK(errors[0].column == 20);
  CHECK(errors[1].line == 2);
  std::string items;
  for (int i = 0; i < 256; ++i) items += "\"10.0.0." + std::to_string(i) + "\",";
  CHECK(parse_config("inside = [" + items + "]", "x").inside->size() == 256);
  const auto too_many = errors_of("inside = [" + items + "\"10.1.0.0\"]");
  REQUIRE(too_many.size() == 1);
  CHECK_THAT(to_string(too_many[0]), Catch::Contains("bad value for `inside`; expected a list of at most 256 "));
}

TEST_CASE("networks that an inside host may be in") {
  for (const char* text : {"0.0.0.0/0", "::/0", "0.0.0.0/1", "192.0.0.0/2", "10.0.0.7", "fe80::/10", "fe00::/7"})
    CHECK(errors_of("inside = [\"" + std::string(text) + "\"]").empty());
}

TEST_CASE("every key has a row of errors of its own: a wrong type is refused") {
  for (const ConfigKey& key : config_keys()) {
    INFO(key.name);
    const std::string section = key.section.empty() ? "" : "[" + std::string(key.section) + "]\n";
    CHECK(errors_of(section + std::string(key.name) + " = 1979-05-27").size() == 1);
  }
}

TEST_CASE("all errors are told at once, by line") {
  const auto errors = errors_of("queue = 'x'\nnothing = 1\n[service]\nudp = 3\n");
  REQUIRE(errors.size() == 3);
  CHECK(errors[0].line == 1);
  CHECK(errors[1].line == 2);
  CHECK(errors[2].line == 4);
}

TEST_CASE("no file and an empty file are the defaults") {
  CHECK(to_json(parse_config("", "x")) == to_json(Config{}));
  CHECK(to_json(load_config("/nonexistent/sipalgd.toml", true)) == to_json(Config{}));
  CHECK_THROWS_AS(load_config("/nonexistent/sipalgd.toml", false), BadConfig);
  CHECK_THROWS_AS(load_config("/dev/null", false), BadConfig);
}

TEST_CASE("values arrive") {
  const Config config = parse_config(R"(
inside = ["10.0.0.0/8", "2001:db8::/32"]
pbx = ["10.0.0.9"]
signalling-source = "any"
second-opinion = false
media-ports = "20000-30000"
reserved-ports = [1194, "50000-50100"]
call-idle = "90min"
steering = "manual"
queue = 0
log-level = "debug"
[service]
udp = false
ports = [5070, 5060, 5070]
)", "x");
  const Policy policy = make_policy(config, {}, {});
  CHECK(policy.inside.size() == 2);
  CHECK(policy.is_pbx(*parse_address("10.0.0.9")));
  CHECK(policy.signalling_from_any);
  CHECK_FALSE(policy.second_opinion);
  CHECK(policy.media_ports == PortRange{20000, 30000});
  CHECK(policy.reserved_ports == std::vector<PortRange>{{1194, 1194}, {50000, 50100}});
  CHECK(policy.call_idle == std::chrono::minutes(90));
  CHECK(config.steering == Config::Steering::manual);
  CHECK(config.queue == 0);
  CHECK(config.log_level == LogLevel::debug);
  CHECK_FALSE(config.service.udp);
  CHECK(config.service.ports == std::vector<uint16_t>{5060, 5070});
}

TEST_CASE("what is detected holds only where nothing is configured") {
  const std::vector<Network> detected{*parse_network("192.168.1.0/24")};
  CHECK(make_policy(Config{}, detected, {}).inside == detected);
  CHECK(make_policy(parse_config("inside = []", "x"), detected, {}).inside.empty());
}

TEST_CASE("what --check prints is a configuration file that means the same") {
  for (const char* text : {"", "inside = [\"10.0.0.0/8\"]\nreserved-ports = [\"1-2\", 7]\ncall-idle = \"90s\"\n"}) {
    const Config config = parse_config(text, "x");
    CHECK(to_json(parse_config(to_toml(config), "y")) == to_json(config));
  }
}

TEST_CASE("the shipped file sets nothing") { CHECK(to_json(parse_config(shipped(), "x")) == to_json(Config{})); }

TEST_CASE("every setting of the shipped file, taken in, is the default; every key is in it") {
  const std::string text = uncommented(shipped());
  Config config = parse_config(text, "sipalgd.toml");
  CHECK(config.inside);  // an example: the default is to detect
  config.inside.reset();
  CHECK(to_json(config) == to_json(Config{}));
  for (const ConfigKey& key : config_keys()) {
    INFO(key.name);
    CHECK_THAT(text, Catch::Contains("\n" + std::string(key.name) + " = "));
  }
}
