// SPDX-License-Identifier: GPL-2.0-or-later
// sipalgctl replay: a capture taken inside, as a masquerading router would have seen it.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

#include "alg/daemon/config.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/player.h"
#include "cli/show.h"

namespace sipalg {
namespace {

struct Options {
  std::string capture, config, output;
  std::vector<std::string> inside, outside;
  bool json = false;
};

// Why it ended before the end of the capture (a killed tcpdump leaves half a packet); empty when it did not.
std::string play_all(CaptureReader& reader, Player& player) try {
  while (const auto frame = reader.next()) player.play(reader.link_type(), *frame);
  return "";
} catch (const CommandError& error) {
  return error.what();
}

// The router has one address per family: which of two a flow would get, nobody knows.
std::vector<Address> outside_addresses(const std::vector<std::string>& texts) {
  std::vector<Address> out;
  for (const auto& text : texts) {
    const Address address = address_argument("--outside", text);
    if (std::ranges::find(out, address.family(), &Address::family) != out.end())
      throw CommandError("--outside: '" + text + "' is the second address of its family; give one for each, IPv4 and IPv6",
                         exit_usage);
    out.push_back(address);
  }
  return out;
}

int replay(const Options& options) {
  const bool is_filter = is_standard_output(options.output, options.json);  // the packets alone
  std::vector<Network> inside;
  const std::vector<Address> outside = outside_addresses(options.outside);
  for (const auto& text : options.inside) inside.push_back(network_argument("--inside", text));
  Config config = options.config.empty() ? Config{} : load_config(options.config, false);
  config.inside = inside;  // the command line decides
  CaptureReader reader(options.capture);
  std::optional<CaptureWriter> writer;
  if (!options.output.empty()) writer.emplace(options.output);
  Player player(make_policy(config, inside, outside), outside, writer ? &*writer : nullptr);
  const std::string broken = play_all(reader, player);
  if (writer) writer->finish();
  const Json summary = player.summary();
  if (options.json) {
    std::cout << to_text(summary, 2) << "\n";
  } else if (!is_filter) {
    show_replay(summary, std::cout);
  }
  if (!broken.empty()) throw CommandError(broken + "; what came before was played");
  return exit_ok;
}

}  // namespace

void add_replay(CLI::App& app, Run& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("replay", "Play a capture taken inside through the engine, and sum up (offline)");
  command->add_option("CAPTURE", options->capture, "capture file of libpcap; - is standard input")->required();
  command->add_option("--inside", options->inside, "inside network; may be repeated")->required()->expected(1)->take_all();
  command->add_option("--outside", options->outside, "address of the router's NAT; may be repeated, one per family")
      ->required()->expected(1)->take_all();
  command->add_option("--config", options->config, "configuration file for the rules; defaults otherwise");
  command->add_option("--output", options->output, "write the SIP packets as they leave to this capture file; - is standard output");
  command->add_flag("--json", options->json, "JSON instead of text");
  command->callback([options, &run] { run = [options] { return replay(*options); }; });
}

}  // namespace sipalg
