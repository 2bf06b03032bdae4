// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/plan.h"

#include <CLI/CLI.hpp>

namespace sipalg::load {
namespace {

template <typename Value, typename Parse>
std::function<void(const std::string&)> parsed(Value& value, const Parse& parse, const std::string& name) {
  return [&value, parse, name](const std::string& word) {
    const auto found = parse(word);
    if (!found) throw CLI::ValidationError("--" + name + ": what is " + word + "?");
    value = *found;
  };
}

void check(const Plan& plan) {
  const auto refuse = [](const char* why) { throw CLI::ValidationError(why); };
  if (plan.place.inside_hosts.size() != plan.place.mapped_hosts.size()) refuse("as many --mapped-host as --inside-host are needed");
  if (plan.calls == 0 || plan.window == 0 || plan.place.flows == 0) refuse("--calls, --window and --flows begin at 1");
  if (plan.calls % plan.place.flows != 0) refuse("--calls must be a multiple of --flows: a call keeps its flow");
  if (plan.place.flows % plan.place.inside_hosts.size() != 0) refuse("--flows must be a multiple of the inside hosts");
  const bool has_edge = !plan.place.edge_inside.empty() && !plan.place.edge_outside.empty();
  if ((plan.expect == Expect::proxied) != has_edge)
    refuse("--expect proxied wants --edge-inside and --edge-outside");
  if (plan.workload == Workload::rtp && plan.calls != plan.place.flows) refuse("rtp plays one call over each flow: --calls = --flows");
}

}  // namespace

std::optional<Workload> parse_workload(std::string_view word) {
  constexpr std::array<std::string_view, 7> names{"calls", "trunk", "reinvite", "info", "refresh", "options", "rtp"};
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == word) return static_cast<Workload>(i);
  return std::nullopt;
}

Exchange Plan::measured() const {
  switch (workload) {
    case Workload::calls: return {Kind::invite, 5, true};
    case Workload::trunk: return {Kind::invite, 7, true};
    case Workload::reinvite: return {Kind::reinvite, 3};
    case Workload::refresh: return {Kind::refresh, 2};
    case Workload::options: return {Kind::options, 2};
    default: return {Kind::info, 2};
  }
}

Plan parse_plan(int count, char** words, bool& only_lengths) {
  Plan plan;
  bool tcp = false;
  CLI::App app{"Plays SIP dialogs between two network namespaces, checks every message that arrives, and tells rates as JSON."};
  const auto workload = parsed(plan.workload, parse_workload, "workload"), expect = parsed(plan.expect, parse_expect, "expect");
  app.add_option_function("--workload", workload, "calls, trunk, reinvite, info, refresh, options or rtp")->required();
  app.add_option_function("--expect", expect, "what has to arrive: same, mapped, padded or proxied")->required();
  app.add_option("--inside", plan.inside_namespace, "namespace of the callers");
  app.add_option("--outside", plan.outside_namespace, "namespace of the provider");
  app.add_option("--inside-host", plan.place.inside_hosts, "an address of the callers; may be given again")->required();
  app.add_option("--mapped-host", plan.place.mapped_hosts, "what NAT makes of it")->required();
  app.add_option("--outside-host", plan.place.outside_host, "the provider's address")->required();
  app.add_option("--edge-inside", plan.place.edge_inside, "proxied: the proxy's address for the callers");
  app.add_option("--edge-outside", plan.place.edge_outside, "proxied: the proxy's address for the provider");
  app.add_option("--first-port", plan.place.first_port, "port of the first flow, inside and mapped");
  app.add_option("--flows", plan.place.flows, "how many 5-tuples");
  app.add_option("--calls", plan.calls, "calls that stand, or are in progress at once");
  app.add_option("--window", plan.window, "exchanges in flight");
  app.add_option("--first-call", plan.first_call, "number of the first call, so that runs differ");
  app.add_option("--seconds", plan.seconds, "measured")->check(CLI::Range(0.01, 3600.0));
  app.add_option("--warmup", plan.warmup, "seconds before that");
  app.add_option("--hold", plan.hold, "seconds between ACK and BYE");
  app.add_option("--setup-seconds", plan.setup_seconds, "bound of setting up the calls");
  app.add_option("--rate", plan.rate, "messages per second, with latency; 0: as fast as answers come");
  app.add_option("--watch", plan.watch, "a process whose CPU time and memory are told");
  app.add_flag("--large", plan.style.large, "every message has 1,400 bytes");
  app.add_flag("--tcp", tcp, "over TCP");
  app.add_flag("--leave-calls", plan.leave_calls, "do not hang up at the end");
  app.add_flag("--lengths", only_lengths, "print which lengths `padded` expects, and end");
  try {
    app.parse(count, words);
    check(plan);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  if (tcp) plan.style.transport = "TCP";
  return plan;
}

}  // namespace sipalg::load
