// SPDX-License-Identifier: GPL-2.0-or-later
// /etc/sipalg/sipalgd.toml: what an administrator may set. Every key is optional.
#pragma once
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "alg/control/json.h"
#include "alg/control/protocol.h"
#include "alg/rewrite/policy.h"
#include "alg/zones/zone_policy.h"

namespace sipalg {

enum class LogLevel : uint8_t { error = 3, warning = 4, info = 6, debug = 7 };  // as syslog(3) counts them

struct Config {
  struct Service {
    bool udp = true, tcp = true;
    std::vector<uint16_t> ports{5060};
  } service;
  enum class Steering : uint8_t { automatic, manual } steering = Steering::automatic;
  uint16_t queue = 5060;
  uint32_t workers = 1;
  bool real_time = true;
  std::string table = "sipalg";
  std::optional<std::vector<Network>> inside;  // unset: detected
  std::vector<Network> pbx, signalling_peers;
  bool signalling_from_any = false;
  bool second_opinion = true;
  PortRange media_ports = Policy{}.media_ports;
  std::vector<PortRange> reserved_ports;
  std::chrono::milliseconds call_idle = limits::call_idle;
  std::chrono::milliseconds call_idle_held = limits::call_idle_held;
  LogLevel log_level = LogLevel::info;
  std::string control_socket{control::default_socket};
  std::string state{"/run/sipalg/state"};  // a folder
  ZonePolicy zones;  // sipalgctl makes the firewall of it; the daemon only checks it
};

struct ConfigError {
  std::string file;
  uint32_t line = 0, column = 0;  // 0: the file as a whole
  std::string text, expected, cure;
};
std::string to_string(const ConfigError& error);  // "FILE:LINE:COLUMN: text; expected ...; cure"

// All errors at once, never none.
class BadConfig : public std::runtime_error {
 public:
  explicit BadConfig(std::vector<ConfigError> errors);
  const std::vector<ConfigError>& errors() const { return errors_; }

 private:
  std::vector<ConfigError> errors_;
};

// Throw BadConfig. `file` is only for the messages of parse_config.
Config parse_config(std::string_view text, std::string_view file);
// A missing file is no error when `may_be_missing`: the defaults hold.
Config load_config(const std::string& file, bool may_be_missing);

// In the order and with the names of the file. As TOML, the text is a valid configuration file.
Json to_json(const Config& config);
std::string to_toml(const Config& config);
std::string to_toml(const Json& config, const std::string& section);  // of what to_json made

// What the rules need of it. `inside` is what holds when the configuration has none.
Policy make_policy(const Config& config, const std::vector<Network>& inside, const std::vector<Address>& router);

}  // namespace sipalg
