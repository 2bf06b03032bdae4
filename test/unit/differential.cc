// SPDX-License-Identifier: GPL-2.0-or-later
// Mutated messages: whenever both parsers read a field, they must find it at the same place.
#include <random>

#include "alg/sip/second_opinion.h"
#include "test/unit/support.h"

using namespace sipalg;
using namespace sipalg::sip;
using test::Sample;

namespace {

constexpr std::size_t mutants = 50'000;
constexpr auto every = static_cast<Compared>(1023);

class Mutator {
 public:
  explicit Mutator(std::vector<Sample> samples) : samples_(std::move(samples)) {}

  std::string next() {
    std::string text = samples_[below(samples_.size())].bytes;
    const std::size_t changes = 1 + below(4);
    for (std::size_t i = 0; i < changes; ++i) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  // In the head: a character of the grammar put in or over, a piece cut, doubled, or brought from elsewhere.
  void change(std::string& text) {
    static constexpr std::string_view grammar = "<>\";,:@?=/[]() \t\r\n*%\\.-_&5aZ\x80";
    const std::size_t head = std::max<std::size_t>(1, std::min(text.find("\r\n\r\n"), text.size()));
    const std::size_t at = below(head), length = below(12);
    switch (below(6)) {
      case 0: text[at] = grammar[below(grammar.size())]; break;
      case 1: text.insert(at, 1, grammar[below(grammar.size())]); break;
      case 2: text.erase(at, length); break;
      case 3: text.insert(at, text.substr(at, length)); break;
      case 4: text.insert(at, text.substr(below(head), length)); break;
      default: text.insert(at, words_[below(words_.size())]); break;
    }
  }

  static constexpr std::array<std::string_view, 14> words_{
      "\r\n ", "\r\nContact: <sip:x@10.9.8.7:5>", "\r\nm:", ", <sip:y>", ";maddr=1.2.3.4", ";received=::1", ";rport", "\"\\\"", "[::1]", "sip:", "\r\nRecord-Route: ", "\r\nv: SIP/2.0/UDP h:1", "tel:", ":5060"};
  std::vector<Sample> samples_;
  std::mt19937 random_{20240101};
};

std::vector<Sample> seeds() {
  std::vector<Sample> all = test::read_captures();
  for (const char* folder : {"rfc3665", "rfc4475", "rfc5118", "kamailio"})
    for (Sample& sample : test::read_folder(folder))
      if (sample.name != "manifest.json") all.push_back(std::move(sample));
  if (all.empty()) WARN("inputs are absent: one message is mutated only");
  all.push_back({"rich", test::request("m: \"A, B\" <sip:a@10.0.0.2:5062;lr>;q=1, <sip:c>\r\nRecord-Route: <sip:p;lr>, <sip:q:1>\r\nRoute: <sip:r>\r\n"
                                       "Path: <sip:p>\r\nService-Route: <sip:[::1]:6>\r\nr: <sip:x@y>\r\nVia: SIP / 2.0 / TCP h : 5 ;rport\r\n")});
  return all;
}

}  // namespace

TEST_CASE("mutants: both accept, both find the same places") {
  Mutator mutator(seeds());
  SecondOpinion second;
  Message message;
  std::size_t read = 0, compared = 0;
  for (std::size_t i = 0; i < mutants; ++i) {
    const test::Exact text(mutator.next());
    if (!scan(text, message)) continue;
    ++read;
    const Opinion opinion = second.on(text, message, every);
    if (opinion.unreadable == every) continue;
    ++compared;
    if (opinion.differs == Compared::none) continue;
    INFO("mutant " << i << ", fields " << std::hex << static_cast<int>(opinion.differs) << ":\n" << escaped(text).substr(0, 2000));
    CHECK(opinion.differs == Compared::none);
  }
  CHECK(read > mutants / 4);
  CHECK(compared > mutants / 5);
}
