// SPDX-License-Identifier: GPL-2.0-or-later
// sipalgd: command line, configuration, privileges, and off it goes.
#include <CLI/CLI.hpp>
#include <pwd.h>

#include <csignal>
#include <iostream>

#include "alg/daemon/daemon.h"
#include "alg/daemon/privileges.h"
#include "alg/daemon/standard_streams.h"

namespace {

using namespace sipalg;

struct Options {
  std::string file = SIPALG_CONFIG_FILE;
  bool file_is_given = false;
  bool check = false;
  std::string user;
};

// As become_user() will find it; here without becoming it.
void check_user(const std::string& user) {
  if (!user.empty() && getpwnam(user.c_str()) == nullptr)
    throw std::runtime_error("there is no user '" + user + "'; `systemd-sysusers` makes it, or `useradd -r`");
}

int check(const Options& options, const Config& config) {
  check_user(options.user);
  std::cout << to_toml(config);
  return 0;
}

void set_privileges(const Options& options, const Config& config) {
  if (!has_net_admin())
    throw std::runtime_error("CAP_NET_ADMIN is missing; start sipalgd by its systemd unit, or as root");
  const bool needs_nice = config.real_time && !allow_real_time();
  if (!options.user.empty())
    become_user(options.user, config.control_socket);
  else
    needs_nice ? keep_net_admin_and_nice() : keep_net_admin_alone();
}

int run(const Options& options) {
  const auto load = [&options] { return load_config(options.file, !options.file_is_given); };
  const Config config = load();
  if (options.check) return check(options, config);
  std::signal(SIGPIPE, SIG_IGN);
  Log log;
  log.set_level(config.log_level);
  set_privileges(options, config);
  Daemon(config, load, log).run();
  return 0;
}

int sipalgd(int argc, char** argv) {
  CLI::App app{"sipalgd, a SIP ALG for Linux routers"};
  Options options;
  const auto* file = app.add_option("-c,--config", options.file, "configuration file")->capture_default_str();
  app.add_flag("--check", options.check, "check the configuration and --user, print what is in force, and end");
  app.add_option("--user", options.user, "when started as root: go on as this user, with CAP_NET_ADMIN alone");
  app.set_version_flag("--version", "sipalgd " SIPALG_VERSION);
  try {
    app.parse(argc, argv);
    options.file_is_given = file->count() != 0;
    return run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const BadConfig& bad) {
    std::cerr << bad.what() << "\n";  // each line begins with the file
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "sipalgd: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_streams();
  return finish_output("sipalgd", sipalgd(argc, argv));
}
