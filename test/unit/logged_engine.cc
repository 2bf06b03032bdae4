// SPDX-License-Identifier: GPL-2.0-or-later
// What is told of failures, where one message is handled inside of another.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

#include "alg/daemon/logged_engine.h"
#include "alg/doors/gathering_keeper.h"
#include "alg/engine/scratch.h"
#include "test/fake/fake_door_keeper.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

// What goes to stderr while it lives.
class Stderr {
 public:
  Stderr() : file_(std::tmpfile()), before_(dup(STDERR_FILENO)) { dup2(fileno(file_), STDERR_FILENO); }
  ~Stderr() {
    dup2(before_, STDERR_FILENO);
    ::close(before_);
    std::fclose(file_);
  }
  Stderr(const Stderr&) = delete;
  Stderr& operator=(const Stderr&) = delete;
  std::string text() const {
    std::string out(4096, '\0');
    out.resize(static_cast<std::size_t>(pread(fileno(file_), out.data(), out.size(), 0)));
    return out;
  }

 private:
  std::FILE* file_;
  int before_;
};

std::string invite(const std::string& call_id, const std::string& port) {
  const std::string body = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio " + port + " RTP/AVP 0\r\n";
  return "INVITE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK" + call_id +
         ";rport\r\nFrom: <sip:alice@10.0.0.2>;tag=a\r\nTo: <sip:bob@example.net>\r\nCall-ID: " + call_id +
         "\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@10.0.0.2:5060>\r\nContent-Type: application/sdp\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Refuses the doors of one port.
class PickyKeeper : public FakeDoorKeeper {
  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles, DoorHandle sibling) override {
    if (std::ranges::count(doors, 5000, [](const KernelDoor& door) { return door.inside.port; }) > 0) return std::unexpected(std::make_error_code(std::errc::not_enough_memory));
    return FakeDoorKeeper::open(doors, handles, sibling);
  }
};

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a failure is told of the message it belongs to, not of those that wait around it") {
  PickyKeeper kernel;
  GatheringKeeper gathered(kernel);
  Engine engine(Policy{}, gathered);
  const Stderr told;
  Log log;
  LoggedEngine logged(engine, log);
  const Endpoint phone = *parse_endpoint("10.0.0.2:5060"), outside = *parse_endpoint("203.0.113.1:5060"),
                 provider = *parse_endpoint("203.0.113.2:5060");
  const Flow flow{Protocol::udp, {phone, outside}, {provider, provider}, 0, true, false};
  const Instant now{std::chrono::hours{1}};
  Scratch outer, inner;
  const std::string first = invite("outer-call", "4000"), second = invite("inner-call", "5000");
  bool was_inside = false;
  gathered.set_other_work([&] {
    if (std::exchange(was_inside, true)) return false;
    CHECK_FALSE(logged.handle({second, flow}, now, inner).bytes.find("203.0.113.1 5000") != std::string_view::npos);
    return true;
  });
  const Verdict verdict = logged.handle({first, flow}, now, outer);
  CHECK(verdict.edited());
  CHECK(was_inside);
  CHECK(engine.stats().of_groups(Reason::kernel_refused) == 1);
  CHECK(count(told.text(), "CALL_ID=inner-call") == 1);
  CHECK(count(told.text(), "CALL_ID=outer-call") == 0);
}
