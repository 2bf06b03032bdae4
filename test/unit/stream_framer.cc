// SPDX-License-Identifier: GPL-2.0-or-later
// The framer: what each stream is cut into, however it comes.
#include <catch2/catch.hpp>
#include <vector>

#include "alg/sip/scanner.h"
#include "alg/stream/framer.h"
#include "test/corpus/corpus.h"

using namespace sipalg;
using test::Exact;

namespace {

constexpr std::size_t bound = 4000;

std::string request(std::string_view headers, std::string_view body = "") {
  return "INVITE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK1\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

std::string name_of(const Piece& piece) {
  switch (piece.kind) {
    case Piece::Kind::need_more: return "more";
    case Piece::Kind::pass: return "pass " + std::to_string(piece.size);
    case Piece::Kind::pass_too_big: return "big " + std::to_string(piece.size);
    case Piece::Kind::message: return "message " + std::to_string(piece.size) + "+" + std::to_string(piece.bytes_behind);
    case Piece::Kind::not_sip: return "not sip";
    case Piece::Kind::lost: return "lost";
  }
  return "";
}

// What a stream becomes when it comes in pieces of `step` bytes. Passed bytes that follow each other count as one piece.
std::vector<std::string> frame(std::string_view stream, std::size_t step, std::size_t most = bound) {
  Framer framer;
  std::vector<std::string> pieces;
  std::size_t passed = 0;
  const auto flush = [&] {
    if (passed != 0) pieces.push_back("pass " + std::to_string(passed));
    passed = 0;
  };
  for (std::size_t decided = 0, there = 0; there < stream.size();) {
    there = std::min(stream.size(), there + step);
    while (decided < there) {
      const Piece piece = framer.next(Exact(stream.substr(decided, there - decided)), most);
      if (piece.kind == Piece::Kind::need_more) break;
      decided += piece.size;
      if (piece.kind == Piece::Kind::pass) {
        passed += piece.size;
        continue;
      }
      flush();
      pieces.push_back(name_of(piece));
      if (piece.size == 0) return pieces;
    }
  }
  flush();
  return pieces;
}

}  // namespace

TEST_CASE("streams are cut the same way, however they come") {
  const std::string plain = request("Content-Length: 0\r\n"), with_sdp = request("c:application/sdp\r\nl: 5\r\n", "v=0\r\n");
  const std::string text = request("Content-Type: text/plain\r\nContent-Length: 12\r\n", "INVITE sip:x");
  const auto n = [](const std::string& s) { return std::to_string(s.size()); };
  struct Case { const char* name; std::string stream; std::vector<std::string> pieces; };
  for (const Case& c : {
           Case{"no body", plain, {"message " + n(plain) + "+0"}},
           Case{"compact names, SDP", with_sdp, {"message " + n(with_sdp) + "+0"}},
           Case{"another body streams", text, {"message " + std::to_string(text.size() - 12) + "+12", "pass 12"}},
           Case{"several, with CRLFs", "\r\n\r\n" + with_sdp + "\r\n" + plain, {"pass 4", "message " + n(with_sdp) + "+0", "pass 2", "message " + n(plain) + "+0"}},
           Case{"multipart in any case", request("Content-Type: MultiPart/mixed ;boundary=x\r\nContent-Length: 3\r\n", "--x"), {"message " + std::to_string(request("Content-Type: MultiPart/mixed ;boundary=x\r\nContent-Length: 3\r\n").size() + 3) + "+0"}},
           Case{"folded length", request("Content-Length:\r\n  3\r\n", "abc"), {"message " + std::to_string(request("Content-Length:\r\n  3\r\n").size()) + "+3", "pass 3"}},
           Case{"line feeds alone", "OPTIONS sip:x SIP/2.0\nl: 1\n\na", {"message 28+1", "pass 1"}},
           Case{"twice the same length", request("Content-Length: 0\r\nl: 0\r\n"), {"message " + n(request("Content-Length: 0\r\nl: 0\r\n")) + "+0"}},
           Case{"two lengths", request("Content-Length: 0\r\nl: 7\r\n"), {"lost"}},
           Case{"no length", request("Expires: 1\r\n"), {"lost"}},
           Case{"length with a sign", request("Content-Length: -1\r\n"), {"lost"}},
           Case{"length out of range", request("Content-Length: 4294967296\r\n"), {"lost"}},
           Case{"bare CR", request("X: a\rContent-Length: 0\r\nl: 0\r\n"), {"lost"}},
           Case{"no SIP behind a message", plain + "GET / HTTP/1.1\r\n\r\n", {"message " + n(plain) + "+0", "lost"}},
           Case{"HTTP first", "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n" + plain, {"not sip"}},
           Case{"TLS", std::string("\x16\x03\x01\x02\x00\x01", 6), {"not sip"}},
           Case{"SSH", "SSH-2.0-OpenSSH_9\r\n", {"not sip"}},
           Case{"another version", "SIP/3.0 200 OK\r\n", {"not sip"}},
           Case{"STUN", std::string("\x00\x01\x00\x00\x21\x12", 6), {"not sip"}},
       }) {
    INFO(c.name);
    for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{50}, c.stream.size()}) {
      INFO("in pieces of " << step);
      CHECK(frame(c.stream, step) == c.pieces);
    }
  }
}

TEST_CASE("what is larger than the bound passes, and framing goes on behind it") {
  const std::string plain = request("Content-Length: 0\r\n");
  const std::string big = request("Content-Type: application/sdp\r\nContent-Length: 5000\r\n", std::string(5000, 'v'));
  const auto whole = frame(big + plain, big.size() + plain.size());
  CHECK(whole == std::vector<std::string>{"big " + std::to_string(big.size()), "message " + std::to_string(plain.size()) + "+0"});
  CHECK(frame(big + plain, 1).back() == "message " + std::to_string(plain.size()) + "+0");
  CHECK(frame(request("X: " + std::string(5000, 'x')), 100) == std::vector<std::string>{"lost"});
  CHECK(frame(std::string(9000, 'A'), 100, 20'000) == std::vector<std::string>{"not sip"});
}

TEST_CASE("whether it is SIP is told as soon as it is certain") {
  using sip::Beginning;
  struct Case { std::string_view bytes; Beginning beginning; };
  for (const Case& c : {Case{"", Beginning::unknown}, Case{"I", Beginning::unknown}, Case{"INVITE sip:b", Beginning::unknown}, Case{"S", Beginning::unknown},
                        Case{"sip/2.", Beginning::unknown}, Case{"SIP/2.0 200", Beginning::unknown}, Case{"SIP/1", Beginning::other}, Case{"GET /x", Beginning::unknown},
                        Case{"GET / HTTP/1.1\r\n", Beginning::other}, Case{"\x16\x03", Beginning::other}, Case{"{\"a\"", Beginning::other},
                        Case{"SIP/2.0 200 OK\r\n", Beginning::sip}, Case{"BYE sip:x SIP/2.0\n", Beginning::sip}}) {
    INFO(c.bytes);
    CHECK(sip::judge_beginning(c.bytes) == c.beginning);
  }
}
