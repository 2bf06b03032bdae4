// SPDX-License-Identifier: GPL-2.0-or-later
// The table of configuration keys. A new key is a member of Config, a row here, a paragraph in sipalgd.toml(5) and a line
// in systemd/sipalgd.toml; a unit test compares the last with this table.
#include "alg/daemon/config_keys.h"

#include <algorithm>
#include <array>

#include "alg/base/shard.h"
#include "alg/daemon/config_table_name.h"
#include "alg/daemon/values.h"

namespace sipalg {
namespace {

constexpr std::size_t most_items = 256;  // the texts below say so
constexpr std::size_t longest_socket_path = 107;  // sun_path without its NUL
constexpr auto shortest_idle = std::chrono::seconds(60);

// --- one value ---

bool read_one(const toml::node& node, bool& out) {
  const auto* value = node.as_boolean();
  if (value == nullptr) return false;
  out = value->get();
  return true;
}

bool read_one(const toml::node& node, uint16_t& out) {
  const auto* value = node.as_integer();
  if (value == nullptr || value->get() < 0 || value->get() > 65535) return false;
  out = static_cast<uint16_t>(value->get());
  return true;
}

bool read_workers(const toml::node& node, uint32_t& out) {
  const auto* value = node.as_integer();
  if (value == nullptr || value->get() < 1 || value->get() > most_shards) return false;
  out = static_cast<uint32_t>(value->get());
  return true;
}

bool read_one(const toml::node& node, std::string& out) {
  const auto* value = node.as_string();
  if (value == nullptr) return false;
  out = value->get();
  return true;
}

// A text that `parse` turns into an optional of the value.
template <typename T, typename Parse> bool read_text(const toml::node& node, T& out, Parse parse) {
  std::string text;
  if (!read_one(node, text)) return false;
  const auto value = parse(text);
  if (!value) return false;
  out = *value;
  return true;
}

bool read_one(const toml::node& node, Network& out) { return read_text(node, out, parse_network); }

// No packet from or to these passes a router.
bool read_inside(const toml::node& node, Network& out) {
  if (!read_one(node, out)) return false;
  const bool is_everybody = out.prefix == 0, is_one = out == Network::of(out.address);
  if (is_one) return out.address.is_unicast();
  return is_everybody || (!out.address.is_multicast() && !out.address.is_loopback());
}

bool read_port(const toml::node& node, uint16_t& out) { return read_one(node, out) && out != 0; }

bool read_one(const toml::node& node, PortRange& out) {
  uint16_t port = 0;
  if (!read_one(node, port)) return read_text(node, out, parse_port_range);
  out = {port, port};
  return port != 0;
}

// Four ports have an even one and the next, wherever they begin.
bool read_pool(const toml::node& node, PortRange& out) {
  PortRange pool;
  if (!read_one(node, pool) || pool.first < limits::lowest_port || pool.last - pool.first < 3) return false;
  out = pool;
  return true;
}

bool read_idle(const toml::node& node, std::chrono::milliseconds& out) {
  return read_text(node, out, parse_duration) && out >= shortest_idle;
}

// --- several ---

template <typename T> using ReadItem = bool (*)(const toml::node&, T&);

template <typename T>
Reading read_list(const toml::node& node, std::vector<T>& out, std::size_t most = most_items, ReadItem<T> read_item = read_one) {
  const auto* array = node.as_array();
  if (array == nullptr || array->size() > most) return false;
  std::vector<const toml::node*> bad;
  out.clear();
  for (const toml::node& item : *array) {
    T value{};
    read_item(item, value) ? out.push_back(value) : bad.push_back(&item);
  }
  return bad;
}

Reading read_ports(const toml::node& node, std::vector<uint16_t>& out) {
  Reading reading = read_list(node, out, limits::service_ports, read_port);
  if (!reading.is_good) return reading;
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  return !out.empty();
}

template <typename T> Json show_list(const std::vector<T>& items) {
  Json out = Json::array();
  for (const T& item : items) out.push_back(to_string(item));
  return out;
}

// --- one of a few words ---

template <typename T> struct Word {
  std::string_view text;
  T value;
};
template <typename T, std::size_t n> bool read_word(const toml::node& node, T& out, const std::array<Word<T>, n>& words) {
  return read_text(node, out, [&words](std::string_view text) -> std::optional<T> {
    const auto it = std::ranges::find(words, text, &Word<T>::text);
    return it == words.end() ? std::nullopt : std::optional(it->value);
  });
}
template <typename T, std::size_t n> Json show_word(T value, const std::array<Word<T>, n>& words) {
  return std::ranges::find(words, value, &Word<T>::value)->text;
}

constexpr std::array<Word<Config::Steering>, 2> steerings{
    {{"auto", Config::Steering::automatic}, {"manual", Config::Steering::manual}}};
constexpr std::array<Word<bool>, 2> sources{{{"registrar", false}, {"any", true}}};
constexpr std::array<Word<LogLevel>, 4> levels{{{"error", LogLevel::error},
                                                {"warning", LogLevel::warning},
                                                {"info", LogLevel::info},
                                                {"debug", LogLevel::debug}}};

bool is_path(std::string_view text) {
  return text.size() > 1 && text.front() == '/' && text.find('\0') == std::string_view::npos;
}
bool is_socket_path(std::string_view text) { return is_path(text) && text.size() <= longest_socket_path; }

const std::array<ConfigKey, 20> keys{{
    {"", "inside", "a list of at most 256 networks or addresses, none of multicast or loopback", R"(inside = ["192.168.1.0/24", "2001:db8:1::/48"], or leave the key out to have them detected)",
     [](const toml::node& n, Config& c) { return read_list(n, c.inside.emplace(), most_items, read_inside); },
     [](const Config& c) { return c.inside ? show_list(*c.inside) : Json(nullptr); }},
    {"", "pbx", "a list of at most 256 addresses or networks", R"(pbx = ["192.168.1.10"])",
     [](const toml::node& n, Config& c) { return read_list(n, c.pbx); }, [](const Config& c) { return show_list(c.pbx); }},
    {"", "signalling-peers", "a list of at most 256 addresses or networks", R"(signalling-peers = ["203.0.113.0/24"])",
     [](const toml::node& n, Config& c) { return read_list(n, c.signalling_peers); },
     [](const Config& c) { return show_list(c.signalling_peers); }},
    {"", "signalling-source", "\"registrar\" or \"any\"", R"(signalling-source = "registrar")",
     [](const toml::node& n, Config& c) { return read_word(n, c.signalling_from_any, sources); },
     [](const Config& c) { return show_word(c.signalling_from_any, sources); }},
    {"", "second-opinion", "true or false", "second-opinion = true",
     [](const toml::node& n, Config& c) { return read_one(n, c.second_opinion); },
     [](const Config& c) { return Json(c.second_opinion); }},
    {"", "media-ports", "two ports from 1024 to 65535 joined by a dash, which make at least four ports", R"(media-ports = "16384-65535")",
     [](const toml::node& n, Config& c) { return read_pool(n, c.media_ports); },
     [](const Config& c) { return Json(to_string(c.media_ports)); }},
    {"", "reserved-ports", "a list of at most 256 ports or port ranges", R"(reserved-ports = [1194, "50000-50100"])",
     [](const toml::node& n, Config& c) { return read_list(n, c.reserved_ports); },
     [](const Config& c) { return show_list(c.reserved_ports); }},
    {"", "call-idle", "a duration from 60s to 30d", R"(call-idle = "1h")",
     [](const toml::node& n, Config& c) { return read_idle(n, c.call_idle); },
     [](const Config& c) { return Json(to_string(c.call_idle)); }},
    {"", "call-idle-held", "a duration from 60s to 30d", R"(call-idle-held = "1d")",
     [](const toml::node& n, Config& c) { return read_idle(n, c.call_idle_held); },
     [](const Config& c) { return Json(to_string(c.call_idle_held)); }},
    {"", "steering", "\"auto\" or \"manual\"", R"(steering = "auto")",
     [](const toml::node& n, Config& c) { return read_word(n, c.steering, steerings); },
     [](const Config& c) { return show_word(c.steering, steerings); }},
    {"", "queue", "a queue number from 0 to 65532", "queue = 5060",
     [](const toml::node& n, Config& c) { return read_one(n, c.queue); }, [](const Config& c) { return Json(c.queue); }},
    {"", "workers", "a number from 1 to 64", "workers = 4",
     [](const toml::node& n, Config& c) { return read_workers(n, c.workers); }, [](const Config& c) { return Json(c.workers); }},
    {"", "real-time", "true or false", "real-time = true",
     [](const toml::node& n, Config& c) { return read_one(n, c.real_time); }, [](const Config& c) { return Json(c.real_time); }},
    {"", "table", "a name of up to 31 letters, digits and underscores that begins with a letter, not sipalg_zones and no word of nft's language", R"(table = "sipalg")",
     [](const toml::node& n, Config& c) { return read_one(n, c.table) && is_table_name(c.table); },
     [](const Config& c) { return Json(c.table); }},
    {"", "control-socket", "an absolute path of at most 107 bytes", R"(control-socket = "/run/sipalg/control.sock")",
     [](const toml::node& n, Config& c) { return read_one(n, c.control_socket) && is_socket_path(c.control_socket); },
     [](const Config& c) { return Json(c.control_socket); }},
    {"", "state", "an absolute path", R"(state = "/run/sipalg/state")",
     [](const toml::node& n, Config& c) { return read_one(n, c.state) && is_path(c.state); },
     [](const Config& c) { return Json(c.state); }},
    {"", "log-level", "\"error\", \"warning\", \"info\" or \"debug\"", R"(log-level = "info")",
     [](const toml::node& n, Config& c) { return read_word(n, c.log_level, levels); },
     [](const Config& c) { return show_word(c.log_level, levels); }},
    {"service", "udp", "true or false", "udp = true",
     [](const toml::node& n, Config& c) { return read_one(n, c.service.udp); },
     [](const Config& c) { return Json(c.service.udp); }},
    {"service", "tcp", "true or false", "tcp = true",
     [](const toml::node& n, Config& c) { return read_one(n, c.service.tcp); },
     [](const Config& c) { return Json(c.service.tcp); }},
    {"service", "ports", "a list of 1 to 16 ports from 1 to 65535", "ports = [5060]",
     [](const toml::node& n, Config& c) { return read_ports(n, c.service.ports); },
     [](const Config& c) { return Json(c.service.ports); }},
}};

}  // namespace

std::span<const ConfigKey> config_keys() { return keys; }

}  // namespace sipalg
