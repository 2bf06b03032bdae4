// SPDX-License-Identifier: GPL-2.0-or-later
// sipalgctl replay: a capture taken inside, as a masquerading router would have seen it.
#include <CLI/CLI.hpp>

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

int replay(const Options& options) {
  std::vector<Network> inside;
  std::vector<Address> outside;
  for (const auto& text : options.inside) inside.push_back(network_argument("--inside", text));
  for (const auto& text : options.outside) outside.push_back(address_argument("--outside", text));
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
  } else {
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
  command->add_option("--output", options->output, "write the SIP packets as they leave to this capture file");
  command->add_flag("--json", options->json, "JSON instead of text");
  command->callback([options, &run] { run = [options] { return replay(*options); }; });
}

}  // namespace sipalg
