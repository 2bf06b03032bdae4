// SPDX-License-Identifier: GPL-2.0-or-later
// sipalgctl explain: datagrams, in order, through the same engine as the daemon's, and what it did and why.
#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>

#include "alg/daemon/config.h"
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/offline_keeper.h"
#include "cli/trace_report.h"

namespace sipalg {
namespace {

struct Options {
  std::string inside, outside, peer, from = "inside", config, output;
  std::vector<std::string> files;
  bool json = false;
};

constexpr Instant beginning{std::chrono::hours(24)};
constexpr std::chrono::milliseconds step{100};  // between two datagrams

// The inside host's surroundings, where the configuration does not say what is inside.
Network surroundings(const Address& host) {
  const char* bits = host.family() == Family::v4 ? "/24" : "/64";
  return parse_network(to_string(host) + bits).value_or(Network::of(host));
}

// The flow that these three ends would have in the kernel. Who sends first began it.
class Ends {
 public:
  explicit Ends(const Options& options)
      : inside_(endpoint_argument("--inside", options.inside)),
        outside_(endpoint_argument("--outside", options.outside, inside_.port)),
        peer_(endpoint_argument("--peer", options.peer)) {
    if (inside_.address.family() != outside_.address.family() || inside_.address.family() != peer_.address.family())
      throw CommandError("--inside, --outside and --peer must be of one address family", exit_usage);
  }
  Flow flow(Side from) {
    const FlowEnd ours{inside_, outside_}, theirs{peer_, peer_};
    const bool is_new = !began_.has_value();
    if (is_new) began_ = from;
    const bool begun_by_sender = *began_ == from;
    return from == Side::inside ? Flow{Protocol::udp, ours, theirs, 0, begun_by_sender, is_new}
                                : Flow{Protocol::udp, theirs, ours, 0, begun_by_sender, is_new};
  }
  Policy policy(const Config& config) const {
    const bool is_nat = inside_.address != outside_.address;
    return make_policy(config, {surroundings(inside_.address)}, is_nat ? std::vector{outside_.address} : std::vector<Address>{});
  }

 private:
  Endpoint inside_, outside_, peer_;
  std::optional<Side> began_;
};

void show(const Json& reports, std::ostream& out) {
  std::size_t number = 0;
  for (const Json& report : reports) {
    const std::string line = report["first_line"];
    out << ++number << ". " << report["file"].get<std::string>() << ", from " << report["from"].get<std::string>() << ": "
        << (line.empty() ? "(not read)" : line) << "\n";
    show_trace(report, out);
  }
}

void write_output(const std::string& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw CommandError(file + " can not be written");
}

int explain(const Options& options) {
  const bool is_filter = is_standard_output(options.output, options.json);  // the datagram's bytes alone
  Ends ends(options);
  const Config config = options.config.empty() ? Config{} : load_config(options.config, false);
  const Side default_side = options.from == "inside" ? Side::inside : Side::outside;
  OfflineKeeper keeper;
  Engine engine(ends.policy(config), keeper);
  Scratch scratch;
  Instant now = beginning;
  Json reports = Json::array();
  std::string last;
  for (const std::string& file : options.files) {
    const DatagramArgument argument = datagram_argument(file, default_side);
    const std::string bytes = read_datagram(argument.file);
    Trace trace;
    const Verdict verdict = engine.handle({bytes, ends.flow(argument.from)}, now += step, scratch, &trace);
    Json report{{"file", argument.file}, {"from", argument.from == Side::inside ? "inside" : "outside"}};
    report.update(to_json(verdict, trace));
    reports.push_back(std::move(report));
    last = verdict.edited() ? std::string(verdict.bytes) : bytes;
  }
  if (is_filter) {
    std::cout << last;
  } else if (options.json) {
    std::cout << to_text(reports, 2) << "\n";
  } else {
    show(reports, std::cout);
  }
  if (!is_filter && !options.output.empty()) write_output(options.output, last);
  return exit_ok;
}

}  // namespace

void add_explain(CLI::App& app, Run& run) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("explain", "What would be done to these datagrams, and why (offline)");
  command->add_option("--inside", options->inside, "inside endpoint, ADDR or ADDR:PORT")->required();
  command->add_option("--outside", options->outside, "what NAT makes of it; port as inside unless given")->required();
  command->add_option("--peer", options->peer, "the other side's endpoint")->required();
  command->add_option("--from", options->from, "where datagrams without in: or out: come from")
      ->check(CLI::IsMember({"inside", "outside"}))->capture_default_str();
  command->add_option("--config", options->config, "configuration file for the rules; defaults otherwise");
  command->add_option("--output", options->output, "write the resulting bytes of the last datagram there; - is standard output");
  command->add_flag("--json", options->json, "JSON instead of text");
  command->add_option("FILE", options->files, "datagrams in order: FILE, out:FILE, in:FILE; - is standard input");
  command->callback([options, &run] {
    if (options->files.empty()) options->files.emplace_back("-");
    run = [options] { return explain(*options); };
  });
}

}  // namespace sipalg
