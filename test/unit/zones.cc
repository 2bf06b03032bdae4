// SPDX-License-Identifier: GPL-2.0-or-later
// The zone policy: what the file may say, every error with its line and cure, and the ruleset that comes of it, letter
// by letter. SIPALG_UPDATE_GOLDEN=1 writes the expected rulesets anew; read the difference before you believe it.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "alg/daemon/config.h"
#include "alg/zones/firewall_text.h"

using namespace sipalg;

namespace {

std::string read(const std::string& file) {
  std::ifstream in(file);
  REQUIRE(in);
  return (std::stringstream() << in.rdbuf()).str();
}

constexpr std::string_view two_zones =
    "[zone.lan]\ninterfaces = [\"lan0\"]\n[zone.wan]\ninterfaces = [\"wan0\"]\n"; // lines 1 to 4

std::string with_pair(std::string_view keys) { return std::string(two_zones) + "[[zone-pair]]\n" + std::string(keys); }

std::vector<ConfigError> errors_of(std::string_view text) {
  try {
    parse_config(text, "x.toml");
  } catch (const BadConfig& bad) {
    return bad.errors();
  }
  return {};
}

ZonePolicy policy_of(std::string_view text) { return parse_config(text, "x.toml").zones; }

} // namespace

TEST_CASE("the ruleset of a policy is known letter by letter") {
  for (const std::string name : {"sip_alone", "three_zones", "self"}) {
    INFO(name);
    const std::string golden = SIPALG_SOURCE "/test/golden/zones/" + name;
    const Config config = parse_config(read(golden + ".toml"), name + ".toml");
    const std::string text = firewall_text(config.zones, config.service.ports, name + ".toml");
    if (std::getenv("SIPALG_UPDATE_GOLDEN") != nullptr) std::ofstream(golden + ".nft") << text;
    CHECK(text == read(golden + ".nft"));
  }
}

TEST_CASE("each error of a zone policy is told with its line and a cure") {
  struct Row {
    std::string text;
    uint32_t line;
    const char* told;
  };
  const Row rows[] = {
      {"zone = 3", 1, "`zone` is no value; expected sections [zone.NAME]; write [zone.lan]"},
      {"\n[[zone]]\nname = \"lan\"", 2,
       "`zone` is no list; expected sections [zone.NAME]; write [zone.lan], with one bracket and a name, for each zone"},
      {"[zone]\nlan = [\"lan0\"]", 2, "`lan` is no zone"},
      {"[[zone.lan]]\ninterfaces = [\"lan0\"]", 1, "`lan` is no zone; expected a section; write [zone.NAME], with one bracket"},
      {"[zne.lan]\ninterfaces = [\"lan0\"]", 1, "unknown section `zne`; write [zone.NAME] for a zone, [[zone-pair]]"},
      {"[[zonepair]]\nsource = \"lan\"", 1, "unknown section `zonepair`; write [zone.NAME] for a zone, [[zone-pair]]"},
      {"[[zne-pair]]\nsource = \"lan\"", 1, "unknown section `zne-pair`; write [zone.NAME] for a zone, [[zone-pair]]"},
      {"\n[zone.\"my lan\"]\ninterfaces = [\"lan0\"]", 2, "bad zone name `my lan`; expected a letter"},
      {"[zone.1]\ninterfaces = [\"lan0\"]", 1, "bad zone name `1`"},
      {"[zone.a23456789b123456789c123456789d1234]\ninterfaces = [\"lan0\"]", 1, "bad zone name"},
      {"[zone.self]\ninterfaces = [\"lan0\"]", 1, "the zone `self` is the router itself; leave [zone.self] out"},
      {"\n\n[zone.lan]\n", 3, "the zone `lan` has no interfaces; for example: interfaces = "},
      {"[zone.lan]\ninterfaces = []", 2, "bad value for `interfaces`; expected a list of 1 to 64"},
      {"[zone.lan]\ninterfaces = \"lan0\"", 2, "bad value for `interfaces`"},
      {"[zone.lan]\ninterfaces = [7]", 2, "bad interface name; expected a text"},
      {"[zone.lan]\ninterfaces = [\n\"lan0\",\n\"this-is-too-long\"]", 4,
       "`this-is-too-long`: it has more than 15 characters"},
      {"[zone.lan]\ninterfaces = [\"\"]", 2, "it is empty"},
      {"[zone.lan]\ninterfaces = [\"a b\"]", 2, "`a b`: it has a character that no interface name has"},
      {"[zone.lan]\ninterfaces = [\"a/b\"]", 2, "`a/b`: it has a character that no interface name has"},
      {"[zone.lan]\ninterfaces = [\"a\\\"b\"]", 2, "it has a character that nft reads as its own"},
      {"[zone.lan]\ninterfaces = [\"eth0:1\"]", 2,
       "it is an address alias, which the kernel does not know as an interface; name eth0"},
      {"[zone.lan]\ninterfaces = [\"lo\"]", 2, "it is the router's own loopback, which always passes; leave it out"},
      {"[zone.lan]\ninterfaces = [\"..\"]", 2, "it is no interface"},
      {"[zone.lan]\ninterfaces = [\"*\"]", 2, "it means every interface"},
      {"[zone.lan]\ninterfaces = [\"p*p\"]", 2, "it has a * before its end"},
      {"[zone.a]\ninterfaces = [\"lan0\"]\n[zone.b]\ninterfaces = [\"lan0\"]", 4,
       "the interface `lan0` is in a zone already: `lan0` of zone `a` (line 2); an interface is in one zone, once"},
      {"[zone.a]\ninterfaces = [\"ppp*\"]\n[zone.b]\ninterfaces = [\"ppp0\"]", 4, "`ppp*` of zone `a` (line 2)"},
      {"[zone.a]\ninterfaces = [\"ppp0\", \"pp*\"]", 2, "`ppp0` of zone `a` (line 2)"},
      {"[zone.a]\ninterfaces = [\"a\"]\n[zone.a]\ninterfaces = [\"b\"]", 3, "a section or key stands once"},
      {"[zone.lan]\ninterface = [\"lan0\"]\ninterfaces = [\"lan0\"]", 2,
       "unknown key `interface` in [zone.lan]; did you mean `interfaces`?"},
      {"[zones.lan]\ninterfaces = [\"lan0\"]", 1,
       "unknown section `zones`; write [zone.NAME] for a zone, [[zone-pair]] for"},
      {"[zone-pair]\nsource = \"lan\"", 1, "`zone-pair` is a list of sections; write [[zone-pair]], with two brackets"},
      {"zone-pair = [1]", 1, "`zone-pair` is a list of sections"},
      {with_pair("source = \"lan\"\ndestination = \"wna\"\ninspect = [\"sip\"]"), 7,
       "there is no zone `wna`; did you mean `wan`?"},
      {with_pair("source = \"guests\"\ndestination = \"wan\"\ninspect = [\"sip\"]"), 6,
       "there is no zone `guests`; the zones are `lan`, `wan`, and `self`, the router; [zone.guests] makes another"},
      {with_pair("source = 5\ndestination = \"wan\"\ninspect = [\"sip\"]"), 6,
       "bad value for `source`; expected the name of a zone"},
      {with_pair("source = \"lan\"\ninspect = [\"sip\"]"), 5,
       "this zone-pair has no `destination`; for example: destination = \"lan\""},
      {with_pair("source = \"lan\"\ndestination = \"lan\"\ninspect = [\"sip\"]"), 7,
       "source and destination are the same zone"},
      {with_pair("source = \"self\"\ndestination = \"self\"\ninspect = [\"sip\"]"), 7,
       "source and destination are the same zone"},
      {with_pair("source = \"lan\"\ndestination = \"wan\""), 5,
       "this zone-pair has no `inspect`; for example: inspect = [\"sip\"]"},
      {with_pair("source = \"lan\"\ndestination = \"wan\"\ninspect = \"sip\""), 8,
       "bad value for `inspect`; expected a list"},
      {with_pair("source = \"lan\"\ndestination = \"wan\"\ninspect = [5060]"), 8,
       "bad value in `inspect`; expected a text"},
      {with_pair("source = \"lan\"\ndestination = \"wan\"\ninspect = [\"rtp\"]"), 8,
       "nothing is known of `rtp`; known are sip, icmp, tcp, udp"},
      {with_pair("source = \"lan\"\ndestination = \"wan\"\ninspect = [\"sip\", \"sip\"]"), 8, "`sip` stands twice"},
      {with_pair("source = \"lan\"\ndestination = \"wan\"\ninspect = []\npass = [\"tcp\"]"), 9,
       "unknown key `pass` in [[zone-pair]]"},
      {with_pair("source = \"lan\"\ndestination = \"wan\"\ninspect = []\n"
                 "[[zone-pair]]\nsource = \"lan\"\ndestination = \"wan\"\ninspect = []"),
       9, "the pair `lan` to `wan` stands twice (line 5)"},
      {"table = \"sipalg_zones\"", 1, "not sipalg_zones"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto errors = errors_of(row.text);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].line == row.line);
    CHECK_THAT(to_string(errors[0]), Catch::StartsWith("x.toml:" + std::to_string(row.line) + ":"));
    CHECK_THAT(to_string(errors[0]), Catch::Contains(row.told));
    CHECK_FALSE(errors[0].cure.empty());
  }
}

TEST_CASE("more zones or interfaces than 64 are refused") {
  std::string zones, interfaces;
  for (int i = 0; i < 65; ++i) {
    const std::string number = std::to_string(i);
    zones += "[zone.z" + number + "]\ninterfaces = [\"i" + number + "\"]\n";
    interfaces += "\"i" + number + "\",";
  }
  CHECK(errors_of(zones).size() == 1);
  CHECK(errors_of("[zone.z]\ninterfaces = [" + interfaces + "]").size() == 1);
}

TEST_CASE("a bad zone is one error, not another one in each pair that names it") {
  CHECK(errors_of("[zone.\"bad one\"]\ninterfaces = [\"x\"]\n[zone.lan]\ninterfaces = [\"y\"]\n"
                  "[[zone-pair]]\nsource = \"lan\"\ndestination = \"bad one\"\ninspect = [\"sip\"]\n")
            .size() == 1);
}

TEST_CASE("what --check prints of a policy means the same") {
  for (const std::string name : {"sip_alone", "three_zones", "self"}) {
    const Config config = parse_config(read(SIPALG_SOURCE "/test/golden/zones/" + name + ".toml"), "x");
    const std::string printed = to_toml(config);
    INFO(printed);
    CHECK(to_json(parse_config(printed, "y")) == to_json(config));
    CHECK_THAT(printed, Catch::Contains("[[zone-pair]]\nsource = "));
  }
}

TEST_CASE("an empty list of pairs, and zones without pairs, are a policy") {
  CHECK(policy_of("zone-pair = []").empty());
  CHECK(policy_of(two_zones).zones.size() == 2);
}

TEST_CASE("the zones of the shipped file, taken in, are a policy") {
  std::istringstream in(read(SIPALG_SOURCE "/systemd/sipalgd.toml"));
  std::string example;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("#   ")) example += line.substr(4) + "\n";
  INFO(example);
  const ZonePolicy policy = policy_of(example);
  CHECK(policy.zones.size() == 2);
  REQUIRE(policy.find_pair("lan", "wan") != nullptr);
  CHECK(policy.find_pair("lan", "wan")->inspects("sip"));
}

TEST_CASE("names of interfaces as the kernel takes them, and patterns") {
  for (const char* good : {"eth0", "eth0.10", "ppp*", "br-lan", "enp3s0f1np1d1ab", "wg_0", "veth@x", "a"})
    CHECK(interface_name_error(good) == nullptr);
  CHECK(is_covered("ppp0", "ppp*"));
  CHECK(is_covered("ppp", "ppp*"));
  CHECK_FALSE(is_covered("pp", "ppp*"));
  CHECK_FALSE(is_covered("eth0.10", "eth0"));
  CHECK(overlap("eth0.*", "eth*"));
  CHECK_FALSE(overlap("eth1*", "eth2*"));
}

TEST_CASE("what could lock the administrator out is told") {
  const auto told = notices(policy_of(std::string(two_zones) +
                                      "[[zone-pair]]\nsource = \"wan\"\ndestination = \"self\"\ninspect = [\"sip\"]\n"
                                      "[[zone-pair]]\nsource = \"lan\"\ndestination = \"self\"\ninspect = [\"ssh\"]\n"
                                      "[[zone-pair]]\nsource = \"lan\"\ndestination = \"wan\"\ninspect = [\"sip\"]\n"
                                      "[[zone-pair]]\nsource = \"self\"\ndestination = \"wan\"\ninspect = []\n"));
  REQUIRE(told.size() == 3);
  CHECK(told[0] ==
        "zone-pair wan -> self: from wan only sip reaches the router itself; new ssh connections are dropped");
  CHECK(told[1] == "zone-pair lan -> self: from lan only ssh reaches the router itself");
  CHECK(told[2] == "zone-pair self -> wan: the router itself begins nothing towards wan");
}
