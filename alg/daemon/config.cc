// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the configuration file by the table of its keys, and tells every error with its place and its cure.
#include "alg/daemon/config.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>

#include "alg/base/text.h"
#include "alg/daemon/config_keys.h"
#include "alg/daemon/config_zones.h"
#include "alg/daemon/values.h"

namespace sipalg {
namespace {

constexpr std::size_t most_bytes = 256UL * 1024;

std::string full_name(const ConfigKey& key) {
  return key.section.empty() ? std::string(key.name) : std::string(key.section) + "." + std::string(key.name);
}

std::string in_quotes(std::string_view text) { return "`" + escaped(text) + "`"; }
bool is_section(const toml::node& node) { return node.is_table() || node.is_array_of_tables(); }

std::optional<std::string> cure_for_section(std::string_view name) {
  for (const ConfigKey& key : config_keys())
    if (is_similar(key.section, name)) return "did you mean [" + std::string(key.section) + "]?";
  if (name.starts_with("zone") || is_similar("zone", name) || is_similar("zone-pair", name))
    return "write [zone.NAME] for a zone, [[zone-pair]] for a pair of them";
  return std::nullopt;
}

std::string cure_for_unknown(std::string_view section, std::string_view name, const toml::node& node) {
  for (const ConfigKey& key : config_keys()) {
    if (key.name == name)
      return key.section.empty() ? "it belongs above the first [section]"
                                 : "it belongs into [" + std::string(key.section) + "]";
  }
  if (section.empty() && is_section(node))
    if (const auto cure = cure_for_section(name)) return *cure;
  for (const ConfigKey& key : config_keys())
    if (key.section == section && is_similar(key.name, name))
      return "did you mean `" + std::string(key.name) + "`?";
  return "sipalgd.toml(5) lists the keys";
}

// An item of a list as its text, where it is short enough to be told.
std::string item_text(const toml::node& item) {
  if (const auto* text = item.as_string(); text != nullptr && text->get().size() <= 64) return " " + in_quotes(text->get());
  if (const auto* number = item.as_integer()) return " `" + std::to_string(number->get()) + "`";
  return "";
}

// An even port and the next one for RTP and RTCP.
bool has_pair(const PortRange& pool, const std::vector<PortRange>& reserved) {
  const auto is_free = [&](uint32_t port) {
    return std::ranges::none_of(reserved, [&](const PortRange& range) { return range.contains(static_cast<uint16_t>(port)); });
  };
  for (uint32_t port = pool.first + pool.first % 2U; port < pool.last; port += 2)
    if (is_free(port) && is_free(port + 1)) return true;
  return false;
}

// Collects the errors of one file; the configuration is good when none came.
class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  void read(const toml::table& root) {
    read_zones(root, config_.zones, [this](auto&&... error) { add(std::forward<decltype(error)>(error)...); });
    for (const auto& [name, node] : root) {
      if (is_zone_section(name.str())) continue;
      const bool is_known = std::ranges::any_of(config_keys(), [&](const ConfigKey& k) { return k.section == name.str(); });
      if (!is_known) {
        read_key("", name, node);
      } else if (const auto* section = node.as_table()) {
        for (const auto& [key, value] : *section) read_key(name.str(), key, value);
      } else {
        add(name.source(), "`" + std::string(name.str()) + "` is a section", "", "write [" + std::string(name.str()) + "]");
      }
    }
  }
  void add(const toml::source_region& where, std::string text, std::string_view expected, std::string cure) {
    errors_.push_back({std::string(file_), where.begin.line, where.begin.column, std::move(text), std::string(expected),
                       std::move(cure)});
  }
  Config finish() {
    check_workers();
    check_queues();
    check_ports();
    std::ranges::stable_sort(errors_, {}, &ConfigError::line);  // a table of TOML does not keep the order of the file
    if (!errors_.empty()) throw BadConfig(std::move(errors_));
    return std::move(config_);
  }

 private:
  void read_key(std::string_view section, const toml::key& name, const toml::node& node) {
    const auto keys = config_keys();
    const auto it = std::ranges::find_if(
        keys, [&](const ConfigKey& k) { return k.section == section && k.name == name.str(); });
    if (it == keys.end()) {
      const std::string where = section.empty() ? "" : " in [" + std::string(section) + "]";
      add(name.source(), (is_section(node) ? "unknown section " : "unknown key ") + in_quotes(name.str()) + where, "",
          cure_for_unknown(section, name.str(), node));
    } else {
      places_.emplace(it->name, node.source());
      tell_bad(*it, node, it->read(node, config_));
    }
  }

  void tell_bad(const ConfigKey& key, const toml::node& node, const Reading& reading) {
    const std::string cure = "for example: " + std::string(key.cure);
    for (const toml::node* item : reading.bad_items)
      add(item->source(), "bad item" + item_text(*item) + " in `" + full_name(key) + "`", key.expected, cure);
    if (!reading.is_good && reading.bad_items.empty())
      add(node.source(), "bad value for `" + full_name(key) + "`", key.expected, cure);
  }

  // What follows is wrong only where the key that is named stands in the file: the defaults go together.

  void check_workers() {
    if (config_.workers <= 1 || config_.steering != Config::Steering::manual) return;
    add(places_["workers"], "several `workers` and `steering = \"manual\"`", "one of the two keys only",
        "sipalgd spreads packets over workers by rules of its own; for example: workers = 1");
  }

  // Each worker has two numbers, TCP has two (ruleset::queue_of).
  void check_queues() {
    const uint32_t highest = 65534 - 2 * config_.workers;
    if (config_.queue <= highest) return;
    const std::string workers = config_.workers == 1 ? "" : " with `workers = " + std::to_string(config_.workers) + "`";
    add(places_["queue"], "there are not enough queue numbers from `queue` on",
        "a queue number from 0 to " + std::to_string(highest) + workers,
        "each worker needs two, and TCP two more; for example: queue = 5060");
  }

  void check_ports() {
    if (has_pair(config_.media_ports, config_.reserved_ports)) return;
    add(places_["reserved-ports"], "`reserved-ports` leave no port for media",
        "that of `media-ports`, " + to_string(config_.media_ports) + ", an even one and the next are left",
        "for example: reserved-ports = [1194, \"50000-50100\"]");
  }

  std::string_view file_;
  Config config_;
  std::map<std::string_view, toml::source_region> places_;  // of the keys that are in the file
  std::vector<ConfigError> errors_;
};

std::string summary(const std::vector<ConfigError>& errors) {
  std::string out;
  for (const ConfigError& error : errors) out += (out.empty() ? "" : "\n") + to_string(error);
  return out;
}

[[noreturn]] void fail(const std::string& file, std::string text, std::string cure) {
  throw BadConfig({{file, 0, 0, std::move(text), "", std::move(cure)}});
}

std::string read_file(const std::string& file) {
  struct stat about {};
  const bool exists = stat(file.c_str(), &about) == 0;
  if (exists && !S_ISREG(about.st_mode)) fail(file, "is no regular file", "name a file");  // a pipe would keep us waiting
  std::ifstream in(file, std::ios::binary);
  if (!in) fail(file, std::string("can not be opened: ") + std::strerror(errno), "is the path right and may this user read it?");
  std::string text;
  text.resize(most_bytes + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most_bytes) fail(file, "is larger than 256 KiB", "is this the right file?");
  return text;
}

}  // namespace

std::string to_string(const ConfigError& error) {
  std::string out = error.file;
  if (error.line != 0) out += ":" + std::to_string(error.line) + ":" + std::to_string(error.column);
  out += ": " + error.text;
  if (!error.expected.empty()) out += "; expected " + error.expected;
  if (!error.cure.empty()) out += "; " + error.cure;
  return out;
}

BadConfig::BadConfig(std::vector<ConfigError> errors) : std::runtime_error(summary(errors)), errors_(std::move(errors)) {}

Config parse_config(std::string_view text, std::string_view file) {
  Reader reader(file);
  try {
    reader.read(toml::parse(text, file));
  } catch (const toml::parse_error& error) {
    const bool is_twice = error.description().find("redefine") != std::string_view::npos;
    reader.add(error.source(), "this is no TOML: " + std::string(error.description()), "",
               is_twice ? "a section or key stands once: put what it holds together"
                        : "texts are written \"so\", lists [1, 2], comments after #");
  }
  return reader.finish();
}

Config load_config(const std::string& file, bool may_be_missing) {
  struct stat about {};
  if (may_be_missing && stat(file.c_str(), &about) != 0 && errno == ENOENT) return {};
  return parse_config(read_file(file), file);
}

Json to_json(const Config& config) {
  Json out = Json::object();
  for (const ConfigKey& key : config_keys()) {
    Json& section = key.section.empty() ? out : out[std::string(key.section)];
    section[std::string(key.name)] = key.show(config);
  }
  show_zones(config.zones, out);
  return out;
}

std::string to_toml(const Json& config, const std::string& section) {
  std::string out, below;
  for (const auto& [key, value] : config.items()) {
    const std::string name = section.empty() ? key : section + "." + key;
    if (value.is_null()) {
      out += "# " + key + " is not set\n";
    } else if (value.is_object()) {
      const bool has_values = std::ranges::any_of(value, [](const Json& item) { return !item.is_object(); });
      below += (has_values ? "\n[" + name + "]\n" : "") + to_toml(value, name);
    } else if (value.is_array() && !value.empty() && value.front().is_object()) {
      for (const Json& item : value) below += "\n[[" + name + "]]\n" + to_toml(item, name);
    } else {
      out += key + " = " + to_text(value) + "\n";
    }
  }
  return out + below;
}

std::string to_toml(const Config& config) { return to_toml(to_json(config), ""); }

Policy make_policy(const Config& config, const std::vector<Network>& inside, const std::vector<Address>& router) {
  Policy policy;
  policy.inside = config.inside.value_or(inside);
  policy.router = router;
  policy.pbx = config.pbx;
  policy.signalling_peers = config.signalling_peers;
  policy.signalling_from_any = config.signalling_from_any;
  policy.second_opinion = config.second_opinion;
  policy.media_ports = config.media_ports;
  policy.reserved_ports = config.reserved_ports;
  policy.call_idle = config.call_idle;
  policy.call_idle_held = config.call_idle_held;
  return policy;
}

}  // namespace sipalg
