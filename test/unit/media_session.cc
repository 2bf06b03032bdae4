// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/media_session.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

using namespace sipalg;

namespace {

StreamNote note(std::string_view kind, StreamNote::Direction direction) {
  StreamNote out;
  kind.substr(0, out.kind.size()).copy(out.kind.data(), out.kind.size());
  out.direction = direction;
  return out;
}

RemoteStream stream(uint8_t line, const char* rtp, const char* rtcp) {
  RemoteStream out;
  out.line = line;
  out.protocol = line % 2 == 0 ? Protocol::udp : Protocol::tcp;
  if (const auto endpoint = parse_endpoint(rtp)) out.rtp = *endpoint;
  if (const auto endpoint = parse_endpoint(rtcp)) out.rtcp = *endpoint;
  return out;
}

bool same(const StreamNote& a, const StreamNote& b) { return a.kind == b.kind && a.direction == b.direction; }

bool same(const RemoteStream& a, const RemoteStream& b) {
  return a.line == b.line && a.protocol == b.protocol && a.rtp == b.rtp && a.rtcp == b.rtcp;
}

}  // namespace

TEST_CASE("a session keeps notes, remote streams and holds apart, in whatever order they come and go") {
  static_assert(sizeof(MediaSession) == 8);
  const StreamNote notes[]{note("audio", StreamNote::Direction::sendrecv), note("a-kind-cut-here", StreamNote::Direction::off), note("", StreamNote::Direction::inactive)};
  const RemoteStream streams[]{stream(0, "192.0.2.1:4000", "192.0.2.1:4001"), stream(1, "[2001:db8::1]:4000", ""), stream(30, "192.0.2.1:4000", "[2001:db8::2]:65535")};
  MediaSession session;
  std::vector<StreamNote> expected_notes;
  std::vector<RemoteStream> expected_streams;
  bool held = false, offer_holds = false;
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    switch (random() % 10) {
      case 0: session.clear_notes(), expected_notes.clear(); break;
      case 1: session.clear_remote(), expected_streams.clear(); break;
      case 2:
        session.clear(), expected_notes.clear(), expected_streams.clear();
        held = offer_holds = false;
        break;
      case 3:
        held = random() % 2 == 0, offer_holds = random() % 2 == 0;
        session.set_hold(held, offer_holds);
        break;
      case 4: {
        const MediaSession copy(session);
        session = copy;
        break;
      }
      case 5:
      case 6: {
        const StreamNote& fresh = notes[random() % 3];
        session.add(fresh), expected_notes.push_back(fresh);
        break;
      }
      default: {
        const RemoteStream& fresh = streams[random() % 3];
        session.add(fresh), expected_streams.push_back(fresh);
      }
    }
    const std::vector<StreamNote> seen = session.notes();
    REQUIRE(std::equal(seen.begin(), seen.end(), expected_notes.begin(), expected_notes.end(), [](const auto& a, const auto& b) { return same(a, b); }));
    std::vector<RemoteStream> remote;
    session.for_each_remote([&](const RemoteStream& one) { remote.push_back(one); });
    REQUIRE(std::equal(remote.begin(), remote.end(), expected_streams.begin(), expected_streams.end(), [](const auto& a, const auto& b) { return same(a, b); }));
    REQUIRE(session.is_held() == held);
    REQUIRE(session.offer_holds() == offer_holds);
  }
  session.clear();
  for (const StreamNote& one : notes) session.add(one);
  for (std::size_t i = 0; i < 3; ++i) CHECK(same(session.notes()[i], notes[i]));
}
