// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of sipalgctl. Each offline command adds its options and leaves behind what is to be run.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace sipalg {

using Run = std::function<int()>;

// `run` is set when the command is chosen. `app` has --socket, for all that ask the daemon, and outlives `run`.
void add_explain(CLI::App& app, Run& run);
void add_firewall(CLI::App& app, Run& run);
void add_replay(CLI::App& app, Run& run);

}  // namespace sipalg
