// SPDX-License-Identifier: GPL-2.0-or-later
// Random streams of messages between two model ends: each gets exactly the rewritten messages of the other.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "test/stream/bench.h"

using namespace sipalg;
using namespace sipalg::test;

namespace {

template <typename T, std::size_t N> T pick(std::mt19937& random, const T (&choices)[N]) { return choices[random() % N]; }

using Hosts = std::array<const char*, 4>;
// Where nothing is edited, nothing is kept either: what is lost then only its sender has.
constexpr Hosts all_hosts{"10.0.0.2", "192.0.2.10", "198.51.100.200", "192.0.2.77"}, plain_hosts{"192.0.2.77", "192.0.2.78", "192.0.2.79", "192.0.2.7"};
// An edit that changes no length is not guarded: without the process the rest of such a message is its sender's.
constexpr Hosts resized_hosts{"10.0.0.2", "198.51.100.200", "10.0.0.2", "192.0.2.77"};
const char* any(std::mt19937& random, const Hosts& hosts) { return hosts[random() % hosts.size()]; }

std::string sdp(std::mt19937& random, const Hosts& hosts) {
  std::string body = "v=0\r\no=- 1 1 IN IP4 " + std::string(hosts[0]) + "\r\ns=-\r\nc=IN IP4 " + any(random, hosts) +
                     "\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
  for (auto i = random() % 40; i > 0; --i) body += "a=candidate:" + std::to_string(i) + " 1 UDP 2130706431 " + any(random, hosts) + std::string(" 4000 typ host\r\n");
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

Message message(std::mt19937& random, const Hosts& hosts) {
  const bool has_sdp = random() % 2 == 0;
  std::string body = has_sdp ? sdp(random, hosts) : random() % 3 == 0 ? padding(random, random() % 6000) : "";
  std::string head = random() % 2 == 0 ? "INVITE sip:bob@example.net SIP/2.0\r\n" : "SIP/2.0 200 OK\r\n";
  head += std::string("Via: SIP/2.0/TCP ") + any(random, hosts) + ":5060;branch=z9hG4bK" + std::to_string(random()) + "\r\n";
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
  setup.limits.hold = setup.limits.first_line = std::chrono::hours{24};  // nothing is given up
  setup.limits.kept_bytes = pick<std::size_t>(random, {262'144, 262'144, 40'000, 8'000});
  setup.limits.held_packets = pick<std::size_t>(random, {48, 48, 8, 1, 0});
  return setup;
}

// Nothing is lost on the way, and both ends read acknowledgements as Linux does.
Setup easy_setup(std::mt19937& random) {
  Setup setup = random_setup(random);
  for (TcpOptions& end : setup.ends) end.strict = false;
  setup.network.loss = setup.network.repeat = setup.network.swap = 0;
  setup.network.delay = pick(random, {1, 2, 5});
  setup.limits.kept_bytes = limits::stream_kept_bytes;
  setup.limits.held_packets = limits::stream_held_packets;
  return setup;
}

Setup easy_setup_with_sack(std::mt19937& random) {
  Setup setup = easy_setup(random);
  for (TcpOptions& end : setup.ends) end.sack = true;
  return setup;
}

using Messages = std::vector<Message>;

std::string joined(const Messages& messages, std::string Message::*text) {
  std::string all;
  for (const Message& one : messages) all += one.*text;
  return all;
}

// One end's writes: messages, cut at random, a few milliseconds apart. Returns when the last one comes.
int64_t plan_writes(Bench& bench, std::size_t end, std::mt19937& random, const std::string& all) {
  int64_t time = bench.now() + 1;
  const std::size_t most = pick<std::size_t>(random, {1, 7, 100, 1000, 5000, 20'000});
  const std::size_t apart = most < 100 ? 2 : 30;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t size = std::min(all.size() - at, 1 + random() % most);
    bench.at(time, [&bench, end, piece = all.substr(at, size)] { bench.end(end).write(piece, bench.now()); });
    at += size;
    time += static_cast<int64_t>(random() % apart);
    if (random() % 50 == 0) time += 300;
    if (random() % 50 == 0) bench.at(time, [&bench, end] { bench.end(end).keepalive(bench.now()); });
  }
  return time;
}

// How many messages arrived rewritten, when each arrived either rewritten or as it was sent; nothing otherwise.
std::optional<uint64_t> count_rewritten(std::string_view received, const Messages& messages) {
  uint64_t rewritten = 0;
  for (const Message& one : messages) {
    const bool is_expected = received.starts_with(one.as_expected);
    if (!is_expected && !received.starts_with(one.as_sent)) return std::nullopt;
    rewritten += is_expected ? 1 : 0;
    received.remove_prefix(is_expected ? one.as_expected.size() : one.as_sent.size());
  }
  return received.empty() ? std::optional(rewritten) : std::nullopt;
}

struct Outcome {
  uint64_t cuts = 0, repeated = 0, edits = 0, takeovers = 0, crashes = 0, messages = 0, rewritten = 0;
  void operator+=(const Outcome& one) {
    cuts += one.cuts, repeated += one.repeated, edits += one.edits, takeovers += one.takeovers;
    crashes += one.crashes, messages += one.messages, rewritten += one.rewritten;
  }
};

// A seed is a whole world: ends, network, messages, cuts. What must hold at its end.
Outcome play(uint32_t seed, double crash, int64_t down, Setup (*make_setup)(std::mt19937&)) {
  std::mt19937 random(seed);
  Setup setup = make_setup(random);
  setup.crash = crash;
  setup.down = down;
  Bench bench(setup, seed);
  const Hosts& hosts = random() % 3 == 0 ? plain_hosts : down > 0 ? resized_hosts : all_hosts;
  Messages sent[2];
  for (uint64_t i = 2 + random() % 12; i > 0; --i) sent[0].push_back(message(random, hosts));
  for (uint64_t i = random() % sent[0].size(); i > 0; --i) sent[1].push_back(message(random, hosts));
  for (std::size_t i = 0; i < 2; ++i) {
    const int64_t last = plan_writes(bench, i, random, joined(sent[i], &Message::as_sent));
    bench.at(last + 1 + static_cast<int64_t>(random() % 2000), [&bench, i] { bench.end(i).close(bench.now()); });
  }
  bench.end(0).connect(bench.now());
  const bool quiet = bench.run(bench.now() + 3'600'000);
  INFO("seed " << seed << " at " << bench.now() << "\n" << bench.end(0).describe() << "\n" << bench.end(1).describe());
  REQUIRE(quiet);
  const auto to_a = count_rewritten(bench.end(0).received(), sent[1]), to_b = count_rewritten(bench.end(1).received(), sent[0]);
  REQUIRE((to_a && to_b));
  REQUIRE((bench.end(0).has_received_fin() && bench.end(1).has_received_fin()));
  REQUIRE((bench.end(0).is_all_acknowledged() && bench.end(1).is_all_acknowledged()));
  REQUIRE(bench.tickets == bench.verdicts);
  REQUIRE(bench.table->held_packets() == 0);
  Outcome outcome{bench.end(0).segments() + bench.end(1).segments(),
                  bench.end(0).retransmissions() + bench.end(1).retransmissions(), bench.edits, bench.stats[Event::stream_takeovers], bench.crashes,
                  sent[0].size() + sent[1].size(), *to_a + *to_b};
  if (crash > 0) return outcome;
  REQUIRE(outcome.rewritten == outcome.messages);
  REQUIRE(bench.stats[Event::stream_messages_given_up] == 0);
  bench.table->tick(Instant{std::chrono::milliseconds{bench.now()}} + limits::stream_closing + std::chrono::seconds{1});
  REQUIRE((bench.table->size() == 0 && bench.table->held_bytes() == 0 && bench.saved.empty()));
  return outcome;
}

Outcome play_or_tell(uint32_t seed, double crash = 0, int64_t down = 0, Setup (*make_setup)(std::mt19937&) = random_setup) {
  try {
    return play(seed, crash, down, make_setup);
  } catch (const std::runtime_error& error) {
    FAIL("seed " << seed << ": " << error.what());
    throw;
  }
}

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("streams cut, lost, swapped and repeated arrive rewritten, whole and in order") {
  const uint64_t wanted = number_from("SIPALG_CUTS", 200'000);
  Outcome all;
  for (auto seed = static_cast<uint32_t>(number_from("SIPALG_SEED", 1)); all.cuts < wanted; ++seed) all += play_or_tell(seed);
  std::printf("%lu cuts, %lu messages, %lu times taken over\n", all.cuts, all.messages, all.takeovers);
  CHECK(all.takeovers > 0);
}

TEST_CASE("where nothing is lost, no end has to repeat anything; without SACK hardly anything") {
  const uint64_t wanted = number_from("SIPALG_CUTS", 200'000) / 4;
  const auto first = static_cast<uint32_t>(number_from("SIPALG_SEED", 1));
  for (uint64_t seed = first, cuts = 0; cuts < wanted; ++seed) {
    const Outcome outcome = play_or_tell(static_cast<uint32_t>(seed), 0, 0, easy_setup_with_sack);
    cuts += outcome.cuts;
    INFO("seed " << seed << ": " << outcome.repeated << " repeated of " << outcome.cuts);
    CHECK(outcome.repeated == 0);
  }
  Outcome all;
  for (uint32_t seed = first; all.cuts < wanted; ++seed) all += play_or_tell(seed, 0, 0, easy_setup);
  CHECK(all.repeated <= all.cuts / 1000);
}

TEST_CASE("the process dies and comes back: no message is torn, the ends notice nothing") {
  const uint64_t wanted = number_from("SIPALG_CUTS", 200'000) / 10;
  Outcome all;
  for (auto seed = static_cast<uint32_t>(number_from("SIPALG_SEED", 1)); all.cuts < wanted; ++seed) all += play_or_tell(seed, 0.002);
  std::printf("%lu cuts, %lu ends of the process, %lu of %lu messages rewritten\n", all.cuts, all.crashes, all.rewritten, all.messages);
  CHECK(all.crashes > 10);
}

TEST_CASE("the process dies and is away for a while: what it has changed or taken over waits for it, the rest passes") {
  const uint64_t wanted = number_from("SIPALG_CUTS", 200'000) / 10;
  Outcome all;
  for (auto seed = static_cast<uint32_t>(number_from("SIPALG_SEED", 1)); all.cuts < wanted; ++seed) all += play_or_tell(seed, 0.002, 2000);
  std::printf("%lu cuts, %lu ends of the process, %lu of %lu messages rewritten\n", all.cuts, all.crashes, all.rewritten, all.messages);
  CHECK(all.crashes > 10);
}
