// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "alg/daemon/state_store.h"

using namespace sipalg;

namespace {

struct Folder {
  std::string path = std::filesystem::temp_directory_path() / ("sipalg-state-" + std::to_string(getpid()));
  ~Folder() { std::filesystem::remove_all(path); }
};

void put(StateStore& store, std::string_view key, std::string_view text) {
  store.put(key, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::map<std::string, std::string> records(StateStore& store, std::string_view prefix) {
  std::map<std::string, std::string> found;
  store.for_each(prefix, [&](std::string_view key, std::span<const uint8_t> value) {
    found.emplace(key, std::string(value.begin(), value.end()));
  });
  return found;
}
using Records = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("state: records are there for the next process, those of another world are not") {
  const Folder folder;
  {
    StateStore store(folder.path, "boot 1");
    put(store, "stream/a", "one");
    put(store, "stream/b", "two");
    put(store, "stream/a", "three");
    put(store, "call/a", "four");
    store.remove("stream/b");
    store.remove("stream/never there");
  }
  {
    StateStore store(folder.path, "boot 1");
    CHECK(records(store, "stream/") == Records{{"stream/a", "three"}});
    CHECK(records(store, "call/") == Records{{"call/a", "four"}});
  }
  {
    StateStore store(folder.path, "boot 1");
    store.clear();
    CHECK(records(store, "").size() == 1);  // which world it is
    put(store, "call/b", "five");
  }
  StateStore next(folder.path, "boot 2");
  CHECK(records(next, "stream/").empty());
  CHECK(records(next, "call/").empty());
}

TEST_CASE("state: a process that is killed in the middle of its changes leaves whole records") {
  const Folder folder;
  for (int round = 0; round < 5; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      StateStore store(folder.path, "boot");
      for (unsigned i = 0;; ++i) {
        const std::string value(100 + i % 2000, static_cast<char>('a' + i % 26));
        put(store, "stream/" + std::to_string(i % 50), value);
      }
    }
    usleep(30'000);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    StateStore store(folder.path, "boot");
    const auto found = records(store, "stream/");
    CHECK_FALSE(found.empty());
    for (const auto& [key, value] : found) {
      CHECK(value.size() >= 100);
      CHECK(value.find_first_not_of(value.front()) == std::string::npos);
    }
  }
}

TEST_CASE("state: a folder that can not be made is an error that names it") {
  CHECK_THROWS_WITH(StateStore("/proc/nowhere/state", "boot"), Catch::Contains("/proc/nowhere/state"));
  const Folder folder;
  std::filesystem::create_directory(folder.path);
  std::ofstream(folder.path + "/data.mdb") << std::string(20'000, 'x');
  CHECK_THROWS_WITH(StateStore(folder.path, "boot"), Catch::Contains(folder.path));
}

TEST_CASE("state: this boot and namespace have a name") { CHECK(state_world().size() > 30); }
