// SPDX-License-Identifier: GPL-2.0-or-later
// sipalgctl: asks the daemon, or plays datagrams through the engine without one.
#include <CLI/CLI.hpp>

#include <iostream>

#include "alg/base/text.h"
#include "alg/control/service_argument.h"
#include "alg/daemon/config.h"
#include "alg/daemon/standard_streams.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/show.h"

namespace {

using namespace sipalg;
using control::Command;

// A question to the daemon: its words, the question, how the answer is shown.
struct Question {
  const char *group, *name;  // "show stats"; no group: a word of its own
  Command command;
  void (*show)(const Json& answer, std::ostream& out);
  const char* description;
};
constexpr Question questions[] = {
    {"show", "stats", Command::stats, show_stats, "What was received and what became of it"},
    {"show", "calls", Command::calls, show_calls, "The calls, one line each"},
    {"show", "call", Command::call, show_call, "One call with its streams and doors"},
    {"show", "doors", Command::doors, show_doors, "The doors that are open"},
    {"show", "connections", Command::connections, show_connections, "The TCP connections that are followed"},
    {"show", "registrations", Command::registrations, show_registrations, "Who is registered where, and for how long"},
    {"show", "config", Command::config, show_config, "The configuration in force"},
    {"clear", "stats", Command::clear_stats, show_stats, "Show all counters, then set them to zero"},
    {"clear", "call", Command::clear_call, show_cleared, "End one call here: its doors close at once"},
    {"clear", "calls", Command::clear_calls, show_cleared, "End all calls here: their doors close at once"},
    {"clear", "registrations", Command::clear_registrations, show_cleared, "Forget all registrations and close their doors"},
    {"service", "list", Command::service_list, show_service, "Which ports SIP is taken from, and what differs from the file"},
    {"service", "add", Command::service_add, show_service, "Take SIP from a port too, at once"},
    {"service", "remove", Command::service_remove, show_service, "Take no new calls from a port; those that are up go on"},
    {"service", "on", Command::service_on, show_service, "Take SIP again"},
    {"service", "off", Command::service_off, show_service, "Take no new calls from any port; those that are up go on"},
    {nullptr, "ruleset", Command::ruleset, show_ruleset, "The nftables rules, as text for nft -f"},
};

struct Common {
  std::string socket{control::default_socket};
  std::string argument;  // the Call-ID, or PROTOCOL
  std::string port;
  bool json = false;
};

bool is_service(const Question& question) { return question.show == show_service; }

// Wrong words are told before the daemon is asked.
std::string argument_of(const Question& question, const Common& common) {
  if (control::needs_call_id(question.command) && common.argument.empty()) {
    const control::Error error = control::call_id_missing(question.command);
    throw CommandError(error.text + "; " + error.cure, exit_usage);
  }
  const std::string argument = common.port.empty() ? common.argument : common.argument + " " + common.port;
  if (!is_service(question)) return argument;
  if (const auto parsed = control::parse_service_argument(question.command, argument); !parsed)
    throw CommandError(parsed.error().text + "; " + parsed.error().cure, exit_usage);
  return argument;
}

int ask(const Question& question, const Common& common) {
  const Json answer = fetch(common.socket, {question.command, argument_of(question, common)});
  if (common.json) {
    std::cout << to_text(answer, 2) << "\n";
  } else {
    question.show(answer, std::cout);
  }
  return exit_ok;
}

void add_groups(CLI::App& app) {
  app.add_subcommand("show", "Ask the daemon")->require_subcommand(1);
  app.add_subcommand("clear", "Reset something of the daemon")->require_subcommand(1);
  app.add_subcommand("service", "Switch the daemon's service until the next start")->require_subcommand(1);
}

void add_arguments(CLI::App& command, const Question& question, Common& common) {
  switch (question.command) {
    case Command::call:
    case Command::clear_call:
      command.add_option("CALL-ID", common.argument, "as `show calls` prints it")->required();
      break;
    case Command::service_add:
    case Command::service_remove:
      command.add_option("PROTOCOL", common.argument, "udp or tcp")->required();
      command.add_option("PORT", common.port, "1 to 65535")->required();
      break;
    case Command::service_on:
    case Command::service_off:
      command.add_option("PROTOCOL", common.argument, "udp or tcp; left out: all that are spoken");
      break;
    default:
      break;
  }
}

void add_question(CLI::App& app, const Question& question, Common& common, Run& run) {
  CLI::App& parent = question.group == nullptr ? app : *app.get_subcommand(question.group);
  auto* command = parent.add_subcommand(question.name, question.description);
  command->add_flag("--json", common.json, "JSON instead of text");
  command->add_option("--socket", common.socket, "control socket of the daemon")->capture_default_str();
  add_arguments(*command, question, common);
  command->callback([&question, &common, &run] { run = [&question, &common] { return ask(question, common); }; });
}

// Who names a daemon expects that it is asked.
void refuse_socket_offline(const CLI::App& app) {
  for (const char* name : {"explain", "replay"})
    if (app.got_subcommand(name) && app.get_option("--socket")->count() != 0)
      throw CommandError(std::string(name) + " asks no daemon; leave --socket out", exit_usage);
}

// CLI11 says that a subcommand is required, whatever word stands in its place.
void refuse_unknown_word(const CLI::App& app) {
  std::string command = "sipalgctl";
  const CLI::App* last = &app;
  for (; !last->get_subcommands().empty(); last = last->get_subcommands().front())
    command += " " + last->get_subcommands().front()->get_name();
  const std::vector<std::string> words = app.remaining(true);
  if (last->get_require_subcommand_min() == 0 || words.empty() || words.front().starts_with('-')) return;
  throw CommandError("there is no command '" + escaped(words.front()) + "' here; `" + command + " --help` lists them", exit_usage);
}

void parse(CLI::App& app, int argc, char** argv) try {
  app.parse(argc, argv);
} catch (const CLI::RequiredError&) {
  refuse_unknown_word(app);
  throw;
}

int sipalgctl(int argc, char** argv) {
  CLI::App app{"sipalgctl: what sipalgd does, and what it would do"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "sipalgctl " SIPALG_VERSION);
  Common common;
  Run run;
  app.add_option("--socket", common.socket, "control socket of the daemon")->capture_default_str();
  add_groups(app);
  for (const Question& question : questions) add_question(app, question, common, run);
  add_explain(app, run);
  add_firewall(app, run);
  add_replay(app, run);
  try {
    parse(app, argc, argv);
    refuse_socket_offline(app);
    return run();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  } catch (const CommandError& error) {
    std::cerr << "sipalgctl: " << error.what() << "\n";
    return error.code();
  } catch (const BadConfig& bad) {
    std::cerr << bad.what() << "\n";  // each line begins with the file
    return exit_failure;
  } catch (const std::exception& error) {
    std::cerr << "sipalgctl: " << error.what() << "\n";
    return exit_failure;
  }
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  return finish_output("sipalgctl", sipalgctl(argc, argv));
}
