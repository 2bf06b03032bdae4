// SPDX-License-Identifier: GPL-2.0-or-later
// Single connections through the stream table: what is edited, what passes, and what it costs the ends in time.
#include <catch2/catch.hpp>

#include "test/stream/bench.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

std::string request(std::string_view host, std::string_view type = "application/sdp", std::size_t body_size = 0) {
  std::string body = body_size == 0 ? "v=0\r\nc=IN IP4 " + std::string(host) + "\r\n" : std::string(body_size, 'x');
  return "INVITE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/TCP " + std::string(host) + ";branch=z9hG4bK1\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
const std::string grows = request("10.0.0.2"), same = request("192.0.2.10"), untouched = request("192.0.2.77");

struct Call : Bench {
  explicit Call(const Setup& setup = {}, uint32_t seed = 1) : Bench(setup, seed) { end(0).connect(now()); }
  // Everything that was written has had its time.
  Call& settle(int64_t time = 3000) {
    at(now() + time, [] {});
    run(now() + time);
    return *this;
  }
  void close_both() {
    end(0).close(now());
    end(1).close(now());
    settle();
  }
  // Since then, until `wanted` arrived; -1: it never did.
  int64_t time_until(std::size_t to, const std::string& wanted, int64_t most = 5000) {
    const int64_t begin = now();
    for (int64_t t = 1; t <= most; ++t) {
      at(begin + t, [] {});
      run(begin + t);
      if (end(to).received() == wanted) return t;
    }
    return -1;
  }
};

}  // namespace

TEST_CASE("a connection whose messages need no edit is not rewritten, but for the MSS of its SYNs") {
  Call call;
  call.settle();
  CHECK(call.rewritten == 2);
  for (int i = 0; i < 5; ++i) {
    call.end(0).write(untouched, call.now());
    call.end(1).write("\r\n\r\n" + untouched, call.now());
    call.settle();
  }
  call.close_both();
  CHECK(call.edits == 10);
  CHECK(call.rewritten == 2);
  CHECK(call.end(1).received().size() == 5 * untouched.size());
  CHECK(call.stats[Event::streams_followed] == 1);
}

TEST_CASE("an edited message leaves at once, longer, shorter or as long") {
  for (const char* host : {"10.0.0.2", "198.51.100.200", "192.0.2.10"}) {
    Call call;
    call.settle();
    const std::string message = request(host);
    call.end(0).write(message, call.now());
    CHECK(call.time_until(1, Bench::edited(message)) == 2);
    call.end(1).write(message, call.now());
    CHECK(call.time_until(0, Bench::edited(message)) == 2);
    call.settle().close_both();
    CHECK((call.end(0).is_all_acknowledged() && call.end(1).is_all_acknowledged()));
  }
}

TEST_CASE("a message split at every byte, with Nagle and without") {
  for (const Nagle nagle : {Nagle::off, Nagle::classic, Nagle::small_outstanding})
    for (std::size_t split = 1; split < grows.size(); ++split) {
      Setup setup;
      setup.ends[0].nagle = nagle;
      Call call(setup);
      call.settle();
      call.end(0).write(grows.substr(0, split), call.now());
      call.end(0).write(grows.substr(split), call.now());
      const int64_t time = call.time_until(1, Bench::edited(grows));
      INFO("split at " << split << " after " << time << " ms");
      REQUIRE((time > 0 && time <= 30));  // the stall, and the way there and back
    }
}

TEST_CASE("a message larger than the first window is held whole") {
  Setup setup;
  setup.network.delay = 5;
  Call call(setup);
  call.settle();
  std::string message = request("10.0.0.2", "application/sdp", 50'000);
  call.end(0).write(message, call.now());
  const int64_t time = call.time_until(1, Bench::edited(message));
  INFO(time << " ms");
  CHECK((time > 0 && time <= 300));
  CHECK(call.stats[Event::stream_takeovers] > 0);
}

TEST_CASE("where each segment ends one message and begins the next, time counts for each of them") {
  Call call;
  call.settle();
  const std::size_t half = grows.size() / 2;
  call.end(0).write(grows.substr(0, half), call.now());
  std::string wanted;
  for (int i = 0; i < 8; ++i) {
    call.settle(3000);  // together longer than limits::stream_hold
    call.end(0).write(grows.substr(half) + grows.substr(0, half), call.now());
    wanted += Bench::edited(grows);
  }
  call.settle(3000);
  CHECK(call.end(1).received().substr(0, wanted.size()) == wanted);
  CHECK(call.stats[Event::stream_messages_given_up] == 0);
}

TEST_CASE("what stands behind a gap counts among what a host may have held, and all of it arrives") {
  for (const bool per_host : {true, false}) {
    Setup setup;
    (per_host ? setup.limits.held_bytes_per_host : setup.limits.held_bytes) = 3000;
    Call call(setup);
    call.settle();
    bool is_first = true;
    call.is_lost = [&](std::size_t from, const std::vector<uint8_t>& packet) { return from == 0 && packet.size() > 1000 && std::exchange(is_first, false); };
    std::size_t most = 0;
    call.on_wire = [&](std::size_t, const std::vector<uint8_t>&) { most = std::max(most, call.table->held_bytes()); };
    const std::string message = request("192.0.2.77", "text/plain", 40'000);
    call.end(0).write(message, call.now());
    CHECK(call.time_until(1, message, 30'000) > 0);
    CHECK(!is_first);
    CHECK(most > 0);
    CHECK(most <= 3000 + 1460);  // and the segment that fills the gap
  }
}

TEST_CASE("a direction that is read no more goes on behind an edit, however far it went before the process came back") {
  Call call;
  call.settle();
  call.end(0).write(grows, call.now());
  const std::string unframed = "INFO sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.77\r\n\r\n" + std::string(300'000, 'x');
  call.end(0).write(unframed, call.now());
  REQUIRE(call.time_until(1, Bench::edited(grows) + unframed) > 0);
  REQUIRE(call.stats[Event::stream_framing_lost] == 1);
  call.settle();
  const auto saved = call.saved;
  call.table = std::make_unique<StreamTable>(call, call, &call, call.stats);
  for (const auto& [key, bytes] : saved) REQUIRE(call.table->restore(key, bytes, Instant{std::chrono::milliseconds{call.now()}}));
  call.end(0).write(std::string(5000, 'y'), call.now());
  CHECK(call.time_until(1, Bench::edited(grows) + unframed + std::string(5000, 'y')) > 0);
  call.end(1).write(grows, call.now());
  CHECK(call.time_until(0, Bench::edited(grows)) > 0);
  call.close_both();
  CHECK(call.end(0).is_all_acknowledged());
}

TEST_CASE("a long body streams behind its head") {
  Call call;
  call.settle();
  std::size_t most = 0;
  call.on_wire = [&](std::size_t, const std::vector<uint8_t>&) { most = std::max(most, call.table->held_bytes()); };
  const std::string message = request("10.0.0.2", "text/plain", 300'000);
  const std::size_t head = message.size() - 300'000;
  call.end(0).write(message + grows, call.now());
  CHECK(call.time_until(1, Bench::edited(message.substr(0, head)) + message.substr(head) + Bench::edited(grows)) > 0);
  CHECK(most <= limits::stream_kept_bytes);
  call.settle().close_both();
}

TEST_CASE("what is no SIP passes untouched for good, and is forgotten") {
  const std::string registration = "REGISTER sip:x SIP/2.0\r\nContact: <sip:a@10.0.0.2>\r\nContent-Length: 0\r\n\r\n";
  for (const std::string& first : {std::string("POST /x HTTP/1.1\r\nContent-Length: 400\r\n\r\n"), std::string("\x16\x03\x01\x00\x05hello", 10), std::string("SSH-2.0-x\r\n"), std::string("\0\1", 2)}) {
    Call call;
    call.settle();
    call.end(0).write(first, call.now());
    call.settle();
    CHECK(call.table->size() == 0);
    call.end(0).write(registration + grows, call.now());  // at a segment's start
    call.end(1).write(grows, call.now());
    call.settle().close_both();
    CHECK(call.end(1).received() == first + registration + grows);
    CHECK(call.end(0).received() == grows);
    CHECK(call.edits == 0);
    CHECK(call.rewritten == 2);
    CHECK(call.stats[Event::streams_not_sip] == 1);
  }
}

TEST_CASE("a first line that stops and is not like SIP passes after a moment, and what answers it passes too") {
  Call call;
  call.settle();
  call.end(0).write("HELLO", call.now());
  call.settle();
  CHECK(call.end(1).received() == "HELLO");
  CHECK(call.stats[Event::streams_not_sip] == 1);
  call.end(1).write("who is there?\n", call.now());
  call.settle();
  call.end(0).write(grows, call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == "HELLO" + grows);
  CHECK(call.end(0).received() == "who is there?\n");
  CHECK(call.edits == 0);
}

TEST_CASE("no SIP from the other end: what follows passes, with the map") {
  Call call;
  call.settle();
  call.end(0).write(grows, call.now());
  call.settle();
  call.end(1).write("220 mail.example.net\r\n", call.now());
  call.settle();
  call.end(0).write(grows, call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == Bench::edited(grows) + grows);
  CHECK(call.end(0).received() == "220 mail.example.net\r\n");
  CHECK(call.end(0).is_all_acknowledged());
}

TEST_CASE("a connection whose beginning was not seen passes untouched") {
  Call call;
  call.settle();
  call.table = std::make_unique<StreamTable>(call, call, nullptr, call.stats);
  const uint64_t before = call.rewritten;
  call.end(0).write(grows, call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == grows);
  CHECK(call.edits == 0);
  CHECK(call.rewritten == before);
  CHECK(call.table->size() == 0);
}

TEST_CASE("the process comes back between two messages: the next one is edited") {
  Call call;
  call.settle();
  for (int i = 0; i < 3; ++i) {
    call.end(0).write(grows, call.now());
    call.end(1).write(i == 1 ? "\r\n\r\n" : grows, call.now());
    call.settle();
    call.table = std::make_unique<StreamTable>(call, call, &call, call.stats);
    for (const auto& [key, bytes] : call.saved) REQUIRE(call.table->restore(key, bytes, Instant{std::chrono::milliseconds{call.now()}}));
  }
  call.close_both();
  CHECK(call.end(1).received() == Bench::edited(grows) + Bench::edited(grows) + Bench::edited(grows));
  CHECK(call.end(0).received() == Bench::edited(grows) + "\r\n\r\n" + Bench::edited(grows));
  CHECK(call.stats[Event::streams_restored] == 3);
}

TEST_CASE("the process comes back in a body, with many acknowledgements under way: the connection goes on") {
  Setup setup;
  setup.network.delay = 20;
  setup.ends[1].delayed_ack = false;
  Call call(setup);
  call.settle();
  call.end(0).write(grows, call.now());
  call.settle();
  const std::string long_one = request("192.0.2.77", "text/plain", 30'000);
  call.end(0).write(long_one, call.now());
  call.settle(50);  // as much as may be has left, nothing of it is acknowledged
  call.table = std::make_unique<StreamTable>(call, call, &call, call.stats);
  for (const auto& [key, bytes] : call.saved) REQUIRE(call.table->restore(key, bytes, Instant{std::chrono::milliseconds{call.now()}}));
  CHECK(call.time_until(1, Bench::edited(grows) + long_one) > 0);
  call.end(0).write(grows, call.now());
  call.settle();
  CHECK(call.end(1).received() == Bench::edited(grows) + long_one + Bench::edited(grows));
  call.close_both();
  CHECK((call.end(0).is_all_acknowledged() && call.end(1).is_all_acknowledged()));
}

TEST_CASE("what was saved is refused when a byte of it is wrong") {
  Call call;
  call.settle();
  call.end(0).write(grows.substr(0, 100), call.now());
  call.settle();
  REQUIRE(call.saved.size() == 1);
  const auto [key, bytes] = *call.saved.begin();
  StreamTable table(call, call, nullptr, call.stats);
  const Instant now{std::chrono::milliseconds{call.now()}};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string wrong = bytes;
    wrong[i] = static_cast<char>(wrong[i] ^ 0x20);
    CHECK_FALSE(table.restore(key, wrong, now));
    CHECK_FALSE(table.restore(key, std::string_view(bytes).substr(0, i), now));
  }
  CHECK(table.size() == 0);
  CHECK(table.restore(key, bytes, now));
  CHECK_FALSE(table.restore(key, bytes, now));
  CHECK(table.held_bytes() > 0);
}

TEST_CASE("an incomplete message leaves unchanged when its time is over; the next one is edited") {
  Call call;
  call.settle();
  call.end(0).write(grows + grows.substr(0, 100), call.now());
  call.settle();
  CHECK(call.end(1).received() == Bench::edited(grows));
  call.settle(11'000);
  call.end(0).write(grows.substr(100, 10), call.now());  // the head ends later still
  call.settle();
  CHECK(call.end(1).received() == Bench::edited(grows) + grows.substr(0, 110));
  call.end(0).write(grows.substr(110) + grows, call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == Bench::edited(grows) + grows + Bench::edited(grows));
  CHECK(call.stats[Event::stream_messages_given_up] == 1);
  CHECK(call.end(0).is_all_acknowledged());
}

TEST_CASE("a message whose body never ends passes, the next one is edited: its start is known") {
  Call call;
  call.settle();
  const std::size_t half = grows.size() - 9;
  call.end(0).write(grows.substr(0, half), call.now());
  call.settle(11'000);
  CHECK(call.end(1).received() == grows.substr(0, half));
  call.end(0).write(grows.substr(half) + grows, call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == grows + Bench::edited(grows));
  CHECK(call.stats[Event::stream_messages_given_up] == 1);
}

TEST_CASE("a line that is dead for longer than anything is held behind a gap: what it brings then is edited") {
  Setup setup;
  setup.ends[0].mss = 300;
  Call call(setup);
  call.settle();
  int number = 0;
  call.is_lost = [&](std::size_t from, const std::vector<uint8_t>& packet) { return from == 0 && packet.size() > 60 && number++ != 1; };
  call.end(0).write(request("10.0.0.2", "application/sdp", 600), call.now());
  call.settle(12'000);
  CHECK(number > 2);
  CHECK(call.table->held_bytes() == 0);
  call.is_lost = nullptr;
  call.end(0).write(grows, call.now());
  call.settle(60'000).close_both();
  CHECK(call.end(1).received() == Bench::edited(request("10.0.0.2", "application/sdp", 600)) + Bench::edited(grows));
}

TEST_CASE("packets that wait behind a gap when the time is over do not leave before it is closed") {
  Setup setup;
  setup.ends[0].mss = 300;
  Call call(setup);
  call.settle();
  unsigned number = 0;  // the first of eight is lost, and everything behind them for a while
  call.is_lost = [&](std::size_t from, const std::vector<uint8_t>& packet) {
    if (from != 0 || packet.size() <= 60) return false;
    return number++ % 1000 == 0 || number > 8;
  };
  std::string all;
  for (int i = 0; i < 8; ++i) call.end(0).write(untouched, call.now()), all += untouched;
  call.settle(12'000);
  CHECK(number > 8);
  CHECK(call.end(1).received().empty());
  call.is_lost = nullptr;
  call.settle(10'000);
  call.end(0).write(grows, call.now());
  call.settle(10'000);
  CHECK(call.end(1).received() == all + Bench::edited(grows));
  call.close_both();
  CHECK((call.end(0).is_all_acknowledged() && call.end(1).is_all_acknowledged()));
}

TEST_CASE("bytes that are taken over guard the connection, until the other end has them") {
  Call call;
  call.settle();
  call.end(0).write(untouched.substr(0, 100), call.now());
  call.settle();
  CHECK(call.stats[Event::stream_takeovers] == 1);
  CHECK(call.is_guarded);
  call.end(0).write(untouched.substr(100), call.now());
  call.settle();
  CHECK(call.end(1).received() == untouched);
  CHECK_FALSE(call.is_guarded);
  const uint64_t before = call.rewritten;
  call.end(0).write(untouched, call.now());
  call.settle();
  CHECK(call.rewritten == before);
  call.end(0).write(grows, call.now());
  call.settle();
  CHECK(call.is_guarded);
  call.close_both();
}

TEST_CASE("a connection that can not be guarded is not taken over: the message leaves unchanged") {
  Call call;
  call.may_resize = false;
  call.settle();
  call.end(0).write(untouched.substr(0, 100), call.now());
  call.settle(11'000);
  CHECK(call.stats[Event::stream_takeovers] == 0);
  call.end(0).write(untouched.substr(100), call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == untouched);
}

TEST_CASE("a message larger than the other end's window arrives edited, without waiting") {
  for (const std::size_t window : {2144, 4096, 5744})
    for (const std::size_t body : {3000, 9000, 30'000}) {
      Setup setup;
      setup.ends[1].receive_buffer = window;
      Call call(setup);
      call.settle();
      const std::string message = request("10.0.0.2", "application/sdp", body);
      call.end(0).write(message + grows, call.now());
      const int64_t time = call.time_until(1, Bench::edited(message) + Bench::edited(grows));
      INFO(window << " bytes, a body of " << body << ": " << time << " ms");
      CHECK((time > 0 && time < 3000));
      CHECK(call.stats[Event::stream_messages_given_up] == 0);
    }
}

TEST_CASE("an end that does not read is told that the other one is alive, also while bytes for it lie here") {
  Setup setup;
  setup.ends[1].receive_buffer = 1000;
  setup.ends[1].reads_at_once = 0;
  Call call(setup);
  call.settle();
  const std::string message = request("10.0.0.2", "application/sdp", 1500);
  call.end(0).write(message.substr(0, 1300), call.now());
  call.settle(500);
  call.end(0).write(message.substr(1300), call.now());
  call.settle();
  REQUIRE(call.end(1).received().size() == 1000);
  for (int i = 0; i < 10; ++i) {
    int heard = 0;
    call.on_wire = [&](std::size_t to, const std::vector<uint8_t>&) { heard += to == 1 ? 1 : 0; };
    call.end(1).keepalive(call.now());
    call.settle(10);
    CHECK(heard > 0);
    call.on_wire = nullptr;
    call.settle(1000);
  }
}

TEST_CASE("two ends that do not read, with bytes for both here, are not made to ask each other again and again") {
  Setup setup;
  for (TcpOptions& end : setup.ends) end.receive_buffer = 1000, end.reads_at_once = 0;
  Call call(setup);
  call.settle();
  const std::string message = request("10.0.0.2", "application/sdp", 1500);
  for (std::size_t i = 0; i < 2; ++i) call.end(i).write(message.substr(0, 1300), call.now());
  call.settle(500);
  for (std::size_t i = 0; i < 2; ++i) call.end(i).write(message.substr(1300), call.now());
  call.settle();
  REQUIRE((call.stats[Event::stream_takeovers] > 0 && call.table->held_bytes() > 0));
  int packets = 0;
  call.on_wire = [&](std::size_t, const std::vector<uint8_t>&) { ++packets; };
  call.end(1).keepalive(call.now());
  call.settle(10'000);
  CHECK(packets < 40);
}

TEST_CASE("a burst over a long path: the sender is held to what can be kept, every message is edited") {
  Setup setup;
  setup.network.delay = 50;
  setup.ends[1].receive_buffer = 4'000'000;
  Call call(setup);
  call.settle();
  std::string sent, expected;
  for (int i = 0; i < 6000; ++i) sent += grows, expected += Bench::edited(grows);
  REQUIRE(sent.size() > 3 * limits::stream_kept_bytes);
  call.end(0).write(sent, call.now());
  CHECK(call.time_until(1, expected, 60'000) > 0);
  CHECK(call.stats[Event::stream_edits_refused] == 0);
  call.settle().close_both();
}

TEST_CASE("a backlog behind an outage arrives as soon as its sender tries again") {
  for (const std::size_t body : {0, 200, 900}) {
    Call call;
    call.settle();
    call.end(0).write(grows, call.now());
    call.settle();
    std::string expected = Bench::edited(grows);
    call.is_lost = [](std::size_t, const std::vector<uint8_t>&) { return true; };
    for (int i = 0; i < 40; ++i) {
      const std::string message = request("10.0.0.2", "application/sdp", body);
      call.end(0).write(message, call.now());
      expected += Bench::edited(message);
    }
    call.settle(2000);
    call.is_lost = nullptr;
    const int64_t time = call.time_until(1, expected, 20'000);
    INFO("bodies of " << body << ": " << time << " ms");
    CHECK((time > 0 && time < 3500));  // its timeout, doubled a few times, and some round trips
    call.settle().close_both();
  }
}

TEST_CASE("a path narrower than the next link: edited messages arrive all the same") {
  for (const uint32_t path_mtu : {1384U, 1300U, 800U}) {
    Setup setup;
    setup.network.path_mtu = path_mtu;
    setup.ends[0].mss = static_cast<uint16_t>(std::min(path_mtu, 1384U) - 52);  // its own path is known to it
    if (path_mtu == 800) setup.ends[0].mss = 1200;                             // or is not
    Call call(setup);
    call.settle();
    std::string all;
    for (const std::size_t body : {1200, 1205, 4000}) {
      const std::string message = request("10.0.0.2", "application/sdp", body);
      call.end(0).write(message, call.now());
      all += Bench::edited(message);
    }
    const int64_t time = call.time_until(1, all, 30'000);
    INFO("MTU " << path_mtu << ": " << time << " ms, of " << all.size() << " there are " << call.end(1).received().size());
    CHECK(time > 0);
    call.settle().close_both();
  }
}

TEST_CASE("bytes that passed the table by end the reading of a connection, at once") {
  Call call;
  call.settle();
  call.end(0).write(untouched, call.now());
  call.settle();
  call.is_bypassed = true;  // its port leaves service
  call.end(0).write(grows, call.now());
  call.settle();
  call.is_bypassed = false;
  call.end(0).write(grows, call.now());
  const int64_t time = call.time_until(1, untouched + grows + grows);
  CHECK((time > 0 && time < 300));
  CHECK(call.table->size() == 0);
  call.settle().close_both();
}

TEST_CASE("half a message of a sender that falls silent leaves when its time is over") {
  Call call;
  call.settle();
  call.end(0).write(grows.substr(0, 50), call.now());
  call.settle(9'000);
  CHECK(call.end(1).received().empty());
  call.settle(2'000);
  CHECK(call.end(1).received() == grows.substr(0, 50));
  CHECK(call.stats[Event::stream_messages_given_up] == 1);
}

TEST_CASE("FIN in an incomplete message: it leaves unchanged, then FIN") {
  for (const int64_t pause : {1, 100}) {
    Call call;
    call.settle();
    call.end(0).write(grows + grows.substr(0, 100), call.now());
    call.settle(pause);
    call.end(0).close(call.now());
    call.settle();
    CHECK(call.end(1).received() == Bench::edited(grows) + grows.substr(0, 100));
    CHECK(call.end(1).has_received_fin());
    call.close_both();
    CHECK(call.end(0).is_all_acknowledged());
  }
}

TEST_CASE("RST goes at once, to the byte the other end expects") {
  for (const std::string& last : {std::string(), grows.substr(0, 100)}) {
    Call call;
    call.settle();
    call.end(0).write(grows, call.now());
    call.settle();
    call.end(0).write(last, call.now());
    call.settle(100);
    call.end(0).abort(call.now());
    call.settle(100);
    CHECK(call.end(1).was_reset());
    CHECK(call.table->held_packets() == 0);
    CHECK(call.table->held_bytes() == 0);
  }
}

TEST_CASE("conntrack can not be told: the message leaves unchanged; an edit of the same length needs no telling") {
  Call call;
  call.may_resize = false;
  call.settle();
  call.end(0).write(grows + same, call.now());
  call.settle().close_both();
  CHECK(call.end(1).received() == grows + Bench::edited(same));
  CHECK(call.stats[Event::stream_edits_refused] == 1);
}

TEST_CASE("edits begin when the window is wide and full: every message is edited, whatever was under way") {
  Setup setup;
  for (TcpOptions& end : setup.ends) end.receive_buffer = 4 << 20;
  setup.network.delay = 20;
  Call call(setup);
  call.settle();
  std::string quiet, loud, wanted;
  for (int i = 0; i < 20'000; ++i) quiet += untouched;
  for (int i = 0; i < 6'000; ++i) loud += grows, wanted += Bench::edited(grows);
  call.end(0).write(quiet, call.now());
  REQUIRE(call.time_until(1, quiet, 60'000) > 0);
  CHECK(call.end(0).retransmissions() == 0);
  call.end(0).write(loud, call.now());
  CHECK(call.time_until(1, quiet + wanted, 240'000) > 0);  // this TCP repeats one segment of many that are lost in each round trip
  CHECK(call.stats[Event::stream_edits_refused] == 0);
}

TEST_CASE("a message larger than the bound passes unchanged, the next one is edited") {
  Call call;
  call.settle();
  const std::string big = request("10.0.0.2", "application/sdp", 70'000);
  call.end(0).write(big + grows, call.now());
  CHECK(call.time_until(1, big + Bench::edited(grows)) > 0);
  CHECK(call.stats[Event::stream_messages_too_big] == 1);
}

TEST_CASE("no place in the table, no memory: connections pass") {
  Setup setup;
  setup.limits.connections = 0;
  Call refused(setup);
  refused.settle();
  refused.end(0).write(grows, refused.now());
  refused.settle();
  CHECK(refused.end(1).received() == grows);
  CHECK(refused.stats[Event::streams_refused_by_bound] == 1);
  CHECK(refused.rewritten == 0);

  Setup small;
  small.limits.held_bytes = 80;
  Call full(small);
  full.settle();
  for (std::size_t at = 0; at < grows.size(); at += 50) {
    full.end(0).write(grows.substr(at, 50), full.now());
    full.settle(100);
  }
  full.settle().close_both();
  CHECK(full.end(1).received() == grows);
  CHECK(full.stats[Event::stream_messages_given_up] == 1);
}

TEST_CASE("the MSS is lowered for headroom, never below 256, and never raised") {
  struct Case { uint16_t given, mtu, seen; };
  for (const Case& c : {Case{1460, 1500, 1340}, Case{1460, 1492, 1332}, Case{1460, 576, 416}, Case{536, 1500, 416}, Case{300, 1500, 256}, Case{200, 1500, 200}}) {
    Setup setup;
    setup.ends[0].mss = c.given;
    setup.network.mtu = c.mtu;
    Call call(setup);
    uint16_t seen = 0;
    call.on_wire = [&](std::size_t to, const std::vector<uint8_t>& packet) {
      if (to == 1 && (packet[33] & 2) != 0) seen = static_cast<uint16_t>(packet[42] << 8 | packet[43]);
    };
    call.settle();
    CHECK(seen == c.seen);
  }
}
