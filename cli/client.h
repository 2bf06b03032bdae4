// SPDX-License-Identifier: GPL-2.0-or-later
// One question to the daemon over its control socket.
#pragma once
#include <stdexcept>
#include <string>

#include "alg/control/protocol.h"

namespace sipalg {

// Exit codes of sipalgctl (sipalgctl(1)).
enum ExitCode : int { exit_ok = 0, exit_failure = 1, exit_usage = 2, exit_no_daemon = 3 };

// A command ends with this message and exit code.
class CommandError : public std::runtime_error {
 public:
  explicit CommandError(const std::string& text, ExitCode code = exit_failure) : std::runtime_error(text), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// No daemon runs there, as far as the socket tells.
class NoDaemon : public CommandError {
 public:
  explicit NoDaemon(const std::string& text) : CommandError(text, exit_no_daemon) {}
};

// Throws CommandError: exit_no_daemon when nobody answers (NoDaemon when nobody is there), exit_failure when the daemon
// says no.
Json fetch(const std::string& socket, const control::Request& request);

}  // namespace sipalg
