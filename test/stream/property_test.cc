// SPDX-License-Identifier: GPL-2.0-or-later
// Random streams of messages between two model ends: each gets exactly the rewritten messages of the other.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "test/stream/bench.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

template <typename T, std::size_t N> T pick(std::mt19937& random, const T (&choices)[N]) { return choices[random() % N]; }

std::string sdp(std::mt19937& random) {
  std::string body = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 " + std::string(pick(random, {"10.0.0.2", "192.0.2.10", "198.51.100.200", "192.0.2.77"})) +
                     "\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
  for (auto i = random() % 40; i > 0; --i) body += "a=candidate:" + std::to_string(i) + " 1 UDP 2130706431 " + pick(random, {"10.0.0.2", "198.51.100.200", "192.0.2.77"}) + " 4000 typ host\r\n";
  return body;
}

std::string padding(std::mt19937& random, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(' ' + random() % 90);
  return text;
}

struct Message {
  std::string as_sent, as_expected;
};

Message message(std::mt19937& random) {
  const bool has_sdp = random() % 2 == 0;
  std::string body = has_sdp ? sdp(random) : random() % 3 == 0 ? padding(random, random() % 6000) : "";
  std::string head = random() % 2 == 0 ? "INVITE sip:bob@example.net SIP/2.0\r\n" : "SIP/2.0 200 OK\r\n";
  head += "Via: SIP/2.0/TCP " + std::string(pick(random, {"10.0.0.2", "192.0.2.10", "198.51.100.200", "192.0.2.77"})) + ":5060;branch=z9hG4bK" + std::to_string(random()) + "\r\n";
  for (auto i = random() % 12; i > 0; --i) head += "X-Padding: " + padding(random, random() % 60) + "\r\n";
  if (has_sdp) head += random() % 2 == 0 ? "Content-Type: application/sdp\r\n" : "c: multipart/mixed;boundary=x\r\n";
  else if (!body.empty()) head += "Content-Type: text/plain\r\n";
  head += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  std::string ends;
  for (auto i = random() % 8 == 0 ? 1 + random() % 3 : 0; i > 0; --i) ends += "\r\n";
  const std::string expected = has_sdp ? Bench::edited(head + body) : Bench::edited(head) + body;
  return {ends + head + body, ends + expected};
}

TcpOptions end_options(std::mt19937& random) {
  TcpOptions end;
  end.mss = pick<uint16_t>(random, {1460, 1400, 536, 300, 1220});
  end.sack = random() % 3 != 0;
  end.timestamps = random() % 3 != 0;
  end.window_scale = pick(random, {-1, 0, 3, 7});
  end.nagle = pick(random, {Nagle::off, Nagle::classic, Nagle::small_outstanding});
  end.delayed_ack = random() % 3 != 0;
  end.receive_buffer = pick<std::size_t>(random, {65'535, 16'000, 32'000});
  if (random() % 3 == 0) end.reads_at_once = 500 + random() % 4000;
  end.strict = random() % 2 == 0;
  end.probes_with_new_byte = random() % 2 == 0;
  return end;
}

Setup random_setup(std::mt19937& random) {
  Setup setup;
  for (TcpOptions& end : setup.ends) end = end_options(random);
  setup.network.loss = pick(random, {0.0, 0.0, 0.01, 0.05, 0.1});
  setup.network.repeat = pick(random, {0.0, 0.01, 0.05});
  setup.network.swap = pick(random, {0.0, 0.05, 0.3});
  setup.network.delay = pick(random, {1, 1, 5, 30});
  setup.network.spread = pick(random, {2, 10, 60});
  setup.limits.hold = std::chrono::hours{24};  // nothing is given up
  return setup;
}

// One end's writes: messages, cut at random, a few milliseconds apart.
std::string plan_writes(Bench& bench, std::size_t end, std::mt19937& random, uint64_t messages, int64_t* last) {
  std::string expected, all;
  for (uint64_t i = 0; i < messages; ++i) {
    const Message one = message(random);
    all += one.as_sent;
    expected += one.as_expected;
  }
  int64_t time = bench.now() + 1;
  const std::size_t most = pick<std::size_t>(random, {1, 7, 100, 1000, 5000, 20'000});
  const std::size_t apart = most < 100 ? 2 : 30;
  if (most < 100) all.resize(std::min<std::size_t>(all.size(), 200'000));
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t size = std::min(all.size() - at, 1 + random() % most);
    bench.at(time, [&bench, end, piece = all.substr(at, size)] { bench.end(end).write(piece, bench.now()); });
    at += size;
    time += static_cast<int64_t>(random() % apart);
    if (random() % 50 == 0) time += 300;
    if (random() % 50 == 0) bench.at(time, [&bench, end] { bench.end(end).keepalive(bench.now()); });
  }
  *last = time;
  return expected;
}

struct Outcome {
  uint64_t cuts = 0, edits = 0, takeovers = 0, crashes = 0;
};

// A seed is a whole world: ends, network, messages, cuts.
Outcome play(uint32_t seed, double crash) {
  std::mt19937 random(seed);
  Setup setup = random_setup(random);
  setup.crash = crash;
  Bench bench(setup, seed);
  const auto messages = 2 + random() % 12;
  int64_t last[2];
  const std::string to_b = plan_writes(bench, 0, random, messages, &last[0]), to_a = plan_writes(bench, 1, random, random() % messages, &last[1]);
  for (std::size_t i = 0; i < 2; ++i) bench.at(last[i] + 1 + static_cast<int64_t>(random() % 2000), [&bench, i] { bench.end(i).close(bench.now()); });
  bench.end(0).connect(bench.now());
  const bool quiet = bench.run(bench.now() + 3'600'000);
  INFO("seed " << seed << " at " << bench.now() << "\n" << bench.end(0).describe() << "\n" << bench.end(1).describe() << "\nexpected " << to_b.size() << " and " << to_a.size());
  const bool a_right = bench.end(0).received() == to_a, b_right = bench.end(1).received() == to_b;
  REQUIRE(quiet);
  REQUIRE(a_right);
  REQUIRE(b_right);
  REQUIRE((bench.end(0).has_received_fin() && bench.end(1).has_received_fin()));
  REQUIRE((bench.end(0).is_all_acknowledged() && bench.end(1).is_all_acknowledged()));
  REQUIRE(bench.tickets == bench.verdicts);
  REQUIRE(bench.table->held_packets() == 0);
  bench.table->tick(Instant{std::chrono::milliseconds{bench.now()}} + limits::stream_closing + std::chrono::seconds{1});
  REQUIRE((bench.table->size() == 0 && bench.table->held_bytes() == 0 && bench.saved.empty()));
  REQUIRE(bench.stats[Event::stream_messages_given_up] == 0);
  return {bench.end(0).segments() + bench.end(1).segments(), bench.edits, bench.stats[Event::stream_takeovers], bench.crashes};
}

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("streams cut, lost, swapped and repeated arrive rewritten, whole and in order") {
  const uint64_t wanted = number_from("SIPALG_CUTS", 100'000);
  Outcome all;
  auto seed = static_cast<uint32_t>(number_from("SIPALG_SEED", 1));
  for (; all.cuts < wanted; ++seed) {
    Outcome one;
    try {
      one = play(seed, 0);
    } catch (const std::exception& error) {
      FAIL("seed " << seed << ": " << error.what());
    }
    all.cuts += one.cuts, all.edits += one.edits, all.takeovers += one.takeovers;
  }
  WARN(all.cuts << " cuts, " << all.edits << " messages, " << all.takeovers << " taken over, seeds up to " << seed);
  CHECK(all.cuts >= wanted);
  CHECK(all.takeovers > 0);
}
