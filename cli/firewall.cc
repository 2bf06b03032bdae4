// SPDX-License-Identifier: GPL-2.0-or-later
// sipalgctl firewall: the zone policy of the configuration file as nftables rules; needs no daemon, and root only to
// load. A daemon that answers is asked which ports were put in service since it started.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <set>

#include "alg/daemon/config.h"
#include "alg/zones/firewall_text.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/interface_check.h"
#include "cli/nftables.h"

namespace sipalg {
namespace {

struct Options {
  std::string config = SIPALG_CONFIG_FILE;
  std::string socket;  // empty: the file tells
  bool apply = false, remove = false;
};

Config load(const std::string& file) {
  Config config = load_config(file, false);
  if (config.zones.zones.empty())
    throw CommandError(file + " has no zones; write [zone.NAME] sections (sipalgd.toml(5)), or take a firewall that is "
                              "loaded away by `sipalgctl firewall --remove`");
  return config;
}

// A port that was removed from the service is not ours to close: SIP passes there untouched. So all of them, and those of
// calls that go on.
std::set<uint16_t> living_ports(const std::string& socket) {
  std::set<uint16_t> ports;
  const Json answer = fetch(socket, {control::Command::service_list, {}});
  for (const Json& line : answer.value("service", Json::array()))
    for (const char* key : {"ports", "draining"}) {
      const auto living = line.value(key, std::vector<uint16_t>());
      ports.insert(living.begin(), living.end());
    }
  return ports;
}

void tell_not_asked(const Options& options, const CommandError& error) {
  std::cerr << "warning: with the ports of " << options.config << " alone, those of `sipalgctl service add` could not be asked for: "
            << error.what() << "\n";
}

// Without a daemon the file says all. One that is there and can not be asked may have ports that the rules then lack; so
// may one that was named.
std::set<uint16_t> sip_ports(const Config& config, const Options& options) {
  std::set<uint16_t> ports(config.service.ports.begin(), config.service.ports.end());
  try {
    ports.merge(living_ports(options.socket.empty() ? config.control_socket : options.socket));
  } catch (const NoDaemon& error) {
    if (!options.socket.empty()) tell_not_asked(options, error);
  } catch (const CommandError& error) {
    if (error.code() == exit_usage) throw;
    tell_not_asked(options, error);
  }
  return ports;
}

void tell_ports(const Config& config, const std::string& file, const std::set<uint16_t>& ports) {
  for (const uint16_t port : ports)
    if (std::ranges::find(config.service.ports, port) == config.service.ports.end())
      std::cerr << file << ": note: with port " << port << ", which is not in `ports` of [service]: sipalgd takes SIP there "
                << "until its next start\n";
}

void tell(const Config& config, const std::string& file) {
  for (const std::string& warning : interface_warnings(config.zones, file)) std::cerr << warning << "\n";
  for (const std::string& notice : notices(config.zones)) std::cerr << file << ": note: " << notice << "\n";
}

int remove() {
  load_rules(firewall_removal_text());
  std::cout << "no zone firewall is in force now\n";
  return exit_ok;
}

int firewall(const Options& options) {
  if (options.remove) return remove();
  const Config config = load(options.config);
  const std::set<uint16_t> ports = sip_ports(config, options);
  const std::string text = firewall_text(config.zones, std::vector(ports.begin(), ports.end()), options.config);
  tell(config, options.config);
  tell_ports(config, options.config, ports);
  if (!options.apply) {
    std::cout << text;
    return exit_ok;
  }
  load_rules(text);
  std::cout << "the zone firewall of " << options.config << " is in force: " << config.zones.zones.size() << " zones, "
            << config.zones.pairs.size() << " pairs; `nft list table inet " << zones_table << "` shows it\n";
  return exit_ok;
}

} // namespace

void add_firewall(CLI::App& app, Run& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("firewall", "Print the zone policy as nftables rules, or load them (offline)");
  command->add_option("-c,--config", options->config, "configuration file")->capture_default_str();
  auto* apply = command->add_flag("--apply", options->apply, "load them instead, in one transaction");
  command->add_flag("--remove", options->remove, "take them away")->excludes(apply);
  command->add_option("--socket", options->socket, "control socket of the daemon; by default the file's");
  command->callback([options, &app, &run] {
    const auto* before = app.get_option("--socket");  // where it stands before the command
    if (options->socket.empty() && before->count() != 0) options->socket = before->as<std::string>();
    run = [options] { return firewall(*options); };
  });
}

} // namespace sipalg
