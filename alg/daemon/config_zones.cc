// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the zone policy. Every name is checked here, by the rules of alg/zones, where its line is known.
#include "alg/daemon/config_zones.h"

#include <algorithm>
#include <map>
#include <optional>

#include "alg/base/text.h"
#include "alg/daemon/values.h"

namespace sipalg {
namespace {

constexpr std::string_view zone_section = "zone", pair_section = "zone-pair";
constexpr std::size_t most_zones = 64, most_interfaces = 64;
constexpr std::string_view interfaces_example = R"(for example: interfaces = ["eth1", "ppp*"])";

std::string in_quotes(std::string_view text) { return "`" + escaped(text) + "`"; }
std::string at_line(uint32_t line) { return " (line " + std::to_string(line) + ")"; }

std::string cure_for_interface(const std::string& name) {
  if (name == "lo") return "leave it out";
  if (const std::size_t colon = name.find(':'); colon != 0 && colon != std::string::npos)
    return "name " + escaped(name.substr(0, colon));
  return "`ip -brief link` shows the names; ppp* stands for all that begin with ppp";
}

class Reader {
 public:
  Reader(ZonePolicy& policy, const OnConfigError& on_error) : policy_(policy), error_(on_error) {}

  void read(const toml::table& root) {
    if (const toml::node* node = root.get(zone_section)) read_zones(*node);
    if (const toml::node* node = root.get(pair_section)) read_pairs(*node);
  }

 private:
  struct Place {
    std::string zone;
    uint32_t line;
  };

  void read_zones(const toml::node& node);
  void read_zone(const toml::key& name, const toml::node& node);
  void read_interfaces(Zone& zone, const toml::node& node);
  void read_interface(Zone& zone, const toml::node& node);
  void read_pairs(const toml::node& node);
  void read_pair(const toml::table& table);
  std::optional<std::string> read_end(const toml::table& table, std::string_view key);
  std::string cure_for_unknown_zone(std::string_view name) const;
  void check_ends(const ZonePair& pair, const toml::table& table);
  void read_inspect(ZonePair& pair, const toml::table& table);
  void read_application(ZonePair& pair, const toml::node& node);
  void check_keys(const toml::table& table, std::initializer_list<std::string_view> known, const std::string& section);

  ZonePolicy& policy_;
  const OnConfigError& error_;
  std::map<std::string, uint32_t, std::less<>> zone_lines_; // bad ones too: what names them is not wrong a second time
  std::map<std::string, Place, std::less<>> interfaces_;
  std::map<std::pair<std::string, std::string>, uint32_t> pair_lines_;
};

void Reader::check_keys(const toml::table& table, std::initializer_list<std::string_view> known,
                        const std::string& section) {
  for (const auto& [key, node] : table) {
    if (std::ranges::find(known, key.str()) != known.end()) continue;
    std::string cure = section + " knows ";
    for (const std::string_view name : known) {
      cure += (name == *known.begin() ? "" : ", ") + std::string(name);
      if (!is_similar(name, key.str())) continue;
      cure = "did you mean `" + std::string(name) + "`?";
      break;
    }
    error_(key.source(), "unknown key " + in_quotes(key.str()) + " in " + section, "", std::move(cure));
  }
}

// --- zones ---

void Reader::read_zones(const toml::node& node) {
  const auto* zones = node.as_table();
  if (zones == nullptr)
    return error_(node.source(), node.is_array() ? "`zone` is no list" : "`zone` is no value", "sections [zone.NAME]",
                  "write [zone.lan], with one bracket and a name, for each zone");
  if (zones->size() > most_zones) error_(node.source(), "too many zones", "64 at most", "put interfaces together");
  for (const auto& [name, zone] : *zones) read_zone(name, zone);
}

void Reader::read_zone(const toml::key& name, const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr)
    return error_(name.source(), in_quotes(name.str()) + " is no zone", "a section",
                  "write [zone.NAME], with one bracket, and in it its interfaces");
  zone_lines_.emplace(name.str(), name.source().begin.line);
  const std::string section = "[zone." + escaped(name.str()) + "]";
  if (name.str() == self_zone)
    return error_(name.source(), "the zone `self` is the router itself", "",
                  "leave " + section + " out; pairs may name self");
  if (!is_zone_name(name.str()))
    error_(name.source(), "bad zone name " + in_quotes(name.str()),
           "a letter, then letters, digits, - and _, 32 at most", "for example: [zone.lan]");
  Zone zone{std::string(name.str()), {}};
  check_keys(*table, {"interfaces"}, section);
  if (const toml::node* interfaces = table->get("interfaces")) {
    read_interfaces(zone, *interfaces);
  } else {
    error_(name.source(), "the zone " + in_quotes(name.str()) + " has no interfaces", "",
           std::string(interfaces_example));
  }
  policy_.zones.push_back(std::move(zone));
}

void Reader::read_interfaces(Zone& zone, const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr || array->empty() || array->size() > most_interfaces)
    return error_(node.source(), "bad value for `interfaces`", "a list of 1 to 64 interface names",
                  std::string(interfaces_example));
  for (const toml::node& item : *array) read_interface(zone, item);
}

void Reader::read_interface(Zone& zone, const toml::node& node) {
  const auto* text = node.as_string();
  if (text == nullptr) return error_(node.source(), "bad interface name", "a text", std::string(interfaces_example));
  const std::string& name = text->get();
  if (const char* why = interface_name_error(name)) {
    return error_(node.source(), "bad interface name " + in_quotes(name) + ": it " + why, "", cure_for_interface(name));
  }
  const auto taken = std::ranges::find_if(interfaces_, [&](const auto& known) { return overlap(known.first, name); });
  if (taken != interfaces_.end()) {
    const auto& [other, place] = *taken;
    return error_(node.source(),
                  "the interface " + in_quotes(name) + " is in a zone already: " + in_quotes(other) + " of zone " +
                      in_quotes(place.zone) + at_line(place.line),
                  "", "an interface is in one zone, once: take one of them out");
  }
  interfaces_.emplace(name, Place{zone.name, node.source().begin.line});
  zone.interfaces.push_back({name, node.source().begin.line});
}

// --- pairs ---

void Reader::read_pairs(const toml::node& node) {
  const auto* pairs = node.as_array();
  if (pairs == nullptr || !std::ranges::all_of(*pairs, [](const toml::node& item) { return item.is_table(); }))
    return error_(node.source(), "`zone-pair` is a list of sections", "",
                  "write [[zone-pair]], with two brackets, for each pair");
  for (const toml::node& pair : *pairs) read_pair(*pair.as_table());
}

void Reader::read_pair(const toml::table& table) {
  check_keys(table, {"source", "destination", "inspect"}, "[[zone-pair]]");
  auto source = read_end(table, "source"), destination = read_end(table, "destination");
  ZonePair pair{source.value_or(""), destination.value_or(""), {}};
  read_inspect(pair, table);
  if (!source || !destination) return;
  check_ends(pair, table);
  policy_.pairs.push_back(std::move(pair));
}

std::optional<std::string> Reader::read_end(const toml::table& table, std::string_view key) {
  const std::string name(key);
  const toml::node* node = table.get(key);
  if (node == nullptr) {
    error_(table.source(), "this zone-pair has no `" + name + "`", "", "for example: " + name + " = \"lan\"");
    return std::nullopt;
  }
  const auto* text = node->as_string();
  if (text == nullptr) {
    error_(node->source(), "bad value for `" + name + "`", "the name of a zone, or \"self\"",
           "for example: " + name + " = \"lan\"");
    return std::nullopt;
  }
  if (text->get() != self_zone && !zone_lines_.contains(text->get())) {
    error_(node->source(), "there is no zone " + in_quotes(text->get()), "", cure_for_unknown_zone(text->get()));
    return std::nullopt;
  }
  return text->get();
}

std::string Reader::cure_for_unknown_zone(std::string_view name) const {
  std::string known;
  for (const auto& [zone, line] : zone_lines_) {
    if (is_similar(zone, name)) return "did you mean " + in_quotes(zone) + "?";
    known += in_quotes(zone) + ", ";
  }
  const std::string section = is_zone_name(name) ? "[zone." + std::string(name) + "]" : "[zone.NAME]";
  return "the zones are " + known + "and `self`, the router; " + section + " makes another";
}

void Reader::check_ends(const ZonePair& pair, const toml::table& table) {
  const toml::source_region& where = table.get("destination")->source();
  if (pair.source == pair.destination)
    return error_(where, "source and destination are the same zone", "",
                  "leave the pair out: what stays in one zone passes, and the router may always talk to itself");
  const uint32_t line = table.source().begin.line;
  const auto [known, is_new] = pair_lines_.emplace(std::pair{pair.source, pair.destination}, line);
  if (!is_new)
    error_(table.source(),
           "the pair " + in_quotes(pair.source) + " to " + in_quotes(pair.destination) + " stands twice" +
               at_line(known->second),
           "", "put what they inspect into one of them");
}

void Reader::read_inspect(ZonePair& pair, const toml::table& table) {
  const toml::node* node = table.get("inspect");
  if (node == nullptr)
    return error_(table.source(), "this zone-pair has no `inspect`", "",
                  "for example: inspect = [\"sip\"]; with inspect = [] nothing may begin");
  const auto* array = node->as_array();
  if (array == nullptr)
    return error_(node->source(), "bad value for `inspect`", "a list", "for example: inspect = [\"sip\"]");
  for (const toml::node& item : *array) read_application(pair, item);
}

void Reader::read_application(ZonePair& pair, const toml::node& node) {
  const auto* text = node.as_string();
  const std::string known = "known are " + application_names();
  if (text == nullptr) return error_(node.source(), "bad value in `inspect`", "a text", known);
  const Application* application = find_application(text->get());
  if (application == nullptr) return error_(node.source(), "nothing is known of " + in_quotes(text->get()), "", known);
  if (pair.inspects(application->name))
    return error_(node.source(), in_quotes(text->get()) + " stands twice", "", "take one of them out");
  pair.inspect.push_back(application);
}

} // namespace

bool is_zone_section(std::string_view name) { return name == zone_section || name == pair_section; }

void read_zones(const toml::table& root, ZonePolicy& policy, const OnConfigError& on_error) {
  Reader(policy, on_error).read(root);
}

void show_zones(const ZonePolicy& policy, Json& config) {
  for (const Zone& zone : policy.zones) {
    Json& interfaces = config[std::string(zone_section)][zone.name]["interfaces"] = Json::array();
    for (const ZoneInterface& interface : zone.interfaces) interfaces.push_back(interface.name);
  }
  for (const ZonePair& pair : policy.pairs) {
    Json inspect = Json::array();
    for (const Application* application : pair.inspect) inspect.push_back(application->name);
    config[std::string(pair_section)].push_back(
        {{"source", pair.source}, {"destination", pair.destination}, {"inspect", std::move(inspect)}});
  }
}

} // namespace sipalg
