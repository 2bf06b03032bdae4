// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket itself: pieces, strangers, leftovers.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <thread>
#include <vector>

#include "alg/daemon/control_server.h"

using namespace sipalg;

namespace {

// A daemon that only answers.
class Answering {
 public:
  Answering() : server_(loop_, path, [](const control::Request& request) -> std::expected<Json, control::Error> {
    return Json{{"asked", name_of(request.command)}, {"argument", request.argument}};
  }) {}
  std::string talk(const std::vector<std::string>& pieces) {
    std::string answer;
    during([&] { answer = ask(pieces); });
    return answer;
  }
  // The daemon lives as long as the clients' work takes; once.
  void during(const std::function<void()>& work) {
    std::thread client([&] {
      work();
      done_ = true;
    });
    loop_.set_timer([] { return boot_time() + std::chrono::milliseconds(5); }, [this] {
      if (done_) loop_.stop();
    });
    loop_.run();
    client.join();
  }
  std::string ask(const std::vector<std::string>& pieces) const {
    const FileDescriptor fd = connected();
    if (!fd) return "no connection";
    for (const std::string& piece : pieces) {
      send(fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::string answer(4096, '\0');
    const auto size = recv(fd.get(), answer.data(), answer.size(), 0);
    answer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return answer;
  }
  const std::string path = "/tmp/sipalg-unit-" + std::to_string(getpid()) + ".sock";
  ControlServer& server() { return server_; }
  Loop& loop() { return loop_; }
  FileDescriptor connected() const {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? std::move(fd) : FileDescriptor();
  }

 private:
  Loop loop_;
  ControlServer server_;
  std::atomic<bool> done_ = false;
};

}  // namespace

TEST_CASE("a request in pieces is answered") {
  CHECK_THAT(Answering().talk({R"({"version":1,)", R"("command":"call","argument":"x"})", "\n"}),
             Catch::Contains(R"("asked":"call","argument":"x")"));
}

TEST_CASE("nonsense is answered with an error") {
  CHECK_THAT(Answering().talk({"GET / HTTP/1.0\r\n"}), Catch::Contains(R"("ok":false)"));
}

TEST_CASE("a request without end is cut off") {
  CHECK_THAT(Answering().talk({std::string(control::request_bytes, 'x'), "xx"}), Catch::Contains("longer than 4096"));
}

TEST_CASE("clients beyond the most are told so, and are served when another has gone") {
  const std::string request = "{\"version\":1,\"command\":\"stats\"}\n";
  Answering daemon;
  std::vector<FileDescriptor> silent;
  std::vector<std::string> refused;
  std::string served;
  int unsent = 0;
  daemon.during([&] {
    for (int i = 0; i < 16; ++i) silent.push_back(daemon.connected());
    for (int i = 0; i < 20; ++i) refused.push_back(daemon.ask({request}));  // some of these before they are answered
    const FileDescriptor late = daemon.connected();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    unsent = send(late.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0 ? errno : 0;
    silent.pop_back();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    served = daemon.ask({"", request});
  });
  for (const std::string& line : refused) {
    const auto answer = control::parse_answer(line);
    REQUIRE_FALSE(answer.has_value());
    CHECK_THAT(answer.error().text, Catch::Contains("too many clients"));
    CHECK_THAT(answer.error().cure, Catch::Contains("try again"));
  }
  CHECK(unsent == 0);
  CHECK_THAT(served, Catch::Contains(R"("asked":"stats")"));
}

TEST_CASE("a client that says nothing is let go") {
  Answering daemon;
  FileDescriptor silent;
  daemon.during([&] {
    silent = daemon.connected();
    daemon.ask({"x\n"});  // both are accepted when this one is answered
  });
  char byte = 0;
  daemon.server().tick(boot_time() + std::chrono::seconds(9));
  CHECK(recv(silent.get(), &byte, 1, MSG_DONTWAIT) == -1);
  daemon.server().tick(boot_time() + std::chrono::seconds(11));
  CHECK(recv(silent.get(), &byte, 1, MSG_DONTWAIT) == 0);
}

TEST_CASE("the socket is for user and group alone, and goes with the daemon") {
  std::string path;
  {
    Answering daemon;
    path = daemon.path;
    struct stat about {};
    REQUIRE(stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 07777U) == 0660U);
  }
  struct stat about {};
  CHECK(stat(path.c_str(), &about) != 0);
}

TEST_CASE("a living daemon keeps its socket, a dead one does not") {
  Answering living;
  Loop loop;
  const auto none = [](const control::Request&) -> std::expected<Json, control::Error> { return Json(); };
  CHECK_THROWS_WITH(ControlServer(loop, living.path, none), Catch::Contains("another sipalgd"));

  const std::string dead = living.path + ".dead";
  {
    const FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, dead.data(), dead.size());
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  CHECK_NOTHROW(ControlServer(loop, dead, none));
}

TEST_CASE("what is no socket is not removed") {
  Loop loop;
  CHECK_THROWS_WITH(ControlServer(loop, "/dev/null", {}), Catch::Contains("no socket"));
}
