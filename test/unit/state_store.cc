// SPDX-License-Identifier: GPL-2.0-or-later
#include <catch2/catch.hpp>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
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

TEST_CASE("state: two stores do not share a folder, and the records of the first stay") {
  const Folder folder;
  {
    StateStore first(folder.path, "boot 1");
    put(first, "stream/a", "one");
    for (const char* world : {"boot 1", "boot 2"})
      CHECK_THROWS_WITH(StateStore(folder.path, world), Catch::Contains(folder.path + ": another sipalgd uses it") && Catch::Contains("its own `state`"));
    CHECK_THROWS_AS(StateStore(folder.path, "boot 2"), StateInUse);
    CHECK(records(first, "stream/") == Records{{"stream/a", "one"}});
  }
  StateStore next(folder.path, "boot 1");
  CHECK(records(next, "stream/") == Records{{"stream/a", "one"}});
}

TEST_CASE("state: a process that is killed leaves the folder to the next at once") {
  const Folder folder;
  for (int round = 0; round < 20; ++round) {
    std::array<int, 2> ready{};
    REQUIRE(pipe(ready.data()) == 0);
    const FileDescriptor from(ready[0]), to(ready[1]);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      StateStore store(folder.path, "boot");
      put(store, "stream/a", "one");
      [[maybe_unused]] const auto told = write(to.get(), "x", 1);
      for (;;) pause();
    }
    char byte = 0;
    REQUIRE(read(from.get(), &byte, 1) == 1);
    CHECK_THROWS_AS(StateStore(folder.path, "boot"), StateInUse);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    StateStore store(folder.path, "boot");
    CHECK(records(store, "stream/") == Records{{"stream/a", "one"}});
  }
}

namespace {

// What a child in a network namespace of its own says; nothing where it may not make one.
std::string world_of_another_namespace() {
  std::array<int, 2> answer{};
  REQUIRE(pipe(answer.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool is_elsewhere = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    const std::string world = is_elsewhere ? state_world() : "";
    [[maybe_unused]] const auto told = write(answer[1], world.data(), world.size());
    _exit(0);
  }
  close(answer[1]);
  std::string world(200, '\0');
  const auto size = read(answer[0], world.data(), world.size());
  world.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  close(answer[0]);
  waitpid(child, nullptr, 0);
  return world;
}

}  // namespace

TEST_CASE("state: a world is this format, this boot and this network namespace") {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::string inode = std::filesystem::read_symlink("/proc/self/ns/net");  // net:[4026531840]
  inode = inode.substr(5, inode.size() - 6);
  REQUIRE(boot.size() == 36);
  REQUIRE_FALSE(inode.empty());
  CHECK(state_world() == "1 " + boot + " " + inode);
  const std::string other = world_of_another_namespace();
  if (other.empty()) {
    WARN("no other network namespace can be made here");
    return;
  }
  CHECK(other != state_world());
  CHECK_THAT(other, Catch::StartsWith("1 " + boot + " "));
}

TEST_CASE("state: changes are carried out in their order, all of them or none") {
  const Folder folder;
  StateStore store(folder.path, "boot 1");
  put(store, "call/a", "one");
  store.apply(std::vector<SavedChange>{{"call/a", {}}, {"call/b", "two"}, {"call/c", {}}, {"call/b", "three"}, {"call/a", "four"}});
  CHECK(records(store, "") == Records{{std::string("\0world", 6), "boot 1"}, {"call/a", "four"}, {"call/b", "three"}});
  const std::vector<SavedChange> too_long{{"call/b", {}}, {std::string(600, 'k'), "five"}};
  CHECK_THROWS_AS(store.apply(too_long), std::runtime_error);
  CHECK(records(store, "call/") == Records{{"call/a", "four"}, {"call/b", "three"}});
}
