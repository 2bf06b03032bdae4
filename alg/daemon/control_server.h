// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket: one request line, one answer line, and the connection ends (alg/control/protocol.h).
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "alg/base/instant.h"
#include "alg/control/protocol.h"
#include "alg/daemon/file_descriptor.h"
#include "alg/daemon/loop.h"

namespace sipalg {

class ControlServer {
 public:
  using Answer = std::function<std::expected<Json, control::Error>(const control::Request&)>;
  // Listens on `path`, mode 0660. A socket that a dead daemon left is replaced, one that is answered is not.
  // Throws std::runtime_error. Borrows the loop.
  ControlServer(Loop& loop, const std::string& path, Answer answer);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  void tick(Instant now);  // about once a second: who says nothing for long is let go

 private:
  struct Client {
    FileDescriptor fd;
    control::LineBuffer request{control::request_bytes};
    std::string answer;
    std::size_t sent = 0;
    Instant since{};
  };
  struct Refused {
    FileDescriptor fd;
    Instant since{};
  };
  void accept_client();
  void refuse(FileDescriptor client);
  void serve(int fd);
  bool read_request(Client& client);  // false: nothing more to be had from it
  void make_answer(Client& client);
  bool write_answer(Client& client);
  void let_go(int fd);

  Loop& loop_;
  std::string path_;
  Answer answer_;
  FileDescriptor listener_;
  std::map<int, Client> clients_;
  std::deque<Refused> refused_;  // the last of those that there was no room for
};

}  // namespace sipalg
