// SPDX-License-Identifier: GPL-2.0-or-later
// What a candidate has to deliver, and what is taken for delivered.
#include <catch2/catch.hpp>

#include "test/load/flows.h"
#include "test/load/proxied.h"

using namespace sipalg::load;

namespace {

Place two_phones() {
  Place place;
  place.inside_hosts = {"10.0.0.2", "10.0.0.3"};
  place.mapped_hosts = {"203.0.113.10", "203.0.113.11"};
  place.outside_host = "203.0.113.2";
  place.flows = 4;
  return place;
}

// The message as the inside writes it, for a call of this flow.
std::string written(const Flows& flows, std::size_t flow, Kind kind, uint64_t media) {
  return flows.written(flow, kind).text({flow, 5, 1'000'001, media});
}

}  // namespace

TEST_CASE("unmapped bytes are what plain forwarding delivers, and wrong for an ALG") {
  const Flows plain(two_phones(), {}, Expect::same), mapped(two_phones(), {}, Expect::mapped);
  Values values{};
  const std::string invite = written(plain, 1, Kind::invite, media_port(1, 2));
  CHECK(plain.recognise(1, invite, true, values) == Kind::invite);
  CHECK_FALSE(mapped.recognise(1, invite, true, values));
  CHECK_FALSE(plain.recognise(0, invite, true, values));  // another phone's flow
  CHECK_FALSE(plain.recognise(1, invite, false, values));  // and it goes outward
}

TEST_CASE("a mapped message names the flow's outside address, and a media port that may be another pair") {
  const Flows flows(two_phones(), {}, Expect::mapped);
  const Template& due = flows[1].due[static_cast<std::size_t>(Kind::invite)];
  CHECK(due.text({}).find("203.0.113.11:5101") != std::string::npos);
  CHECK(due.text({}).find("10.0.0.3") == std::string::npos);
  Values values{};
  CHECK(flows.recognise(1, due.text({1, 5, 1'000'001, 40'000}), true, values) == Kind::invite);
  CHECK(at(values, Slot::media) == 40'000);
  CHECK_FALSE(flows.recognise(1, due.text({1, 5, 1'000'001, 40'001}), true, values));  // no pair begins there
}

TEST_CASE("nobody else's media port changes") {
  const Flows plain(two_phones(), {}, Expect::same), mapped(two_phones(), {}, Expect::mapped);
  Values values{};
  CHECK_FALSE(plain.recognise(0, written(plain, 0, Kind::invite, 40'000), true, values));
  const Template& answer = mapped[0].due[static_cast<std::size_t>(Kind::answer)];
  CHECK(mapped.recognise(0, answer.text({0, 5, 1'000'001, media_port(0, 2)}), false, values) == Kind::answer);
  CHECK_FALSE(mapped.recognise(0, answer.text({0, 5, 1'000'001, 40'000}), false, values));
}

TEST_CASE("a padded message has the mapped length") {
  for (const bool large : {false, true}) {
    const Flows padded(two_phones(), {"UDP", large}, Expect::padded), mapped(two_phones(), {"UDP", large}, Expect::mapped);
    for (std::size_t i = 0; i < kinds; ++i) CHECK(padded[2].due[i].size() == mapped[2].due[i].size());
    CHECK(padded.lengths(Kind::info).find("INV ") != std::string::npos);
    CHECK(padded.lengths(Kind::refresh).starts_with("REG "));
    CHECK(padded.lengths(Kind::options).starts_with("OPT "));
  }
}

TEST_CASE("lengths that one message can not tell are refused") {
  Place place = two_phones();
  place.mapped_hosts = {"203.0.113.1", "203.0.113.11"};
  CHECK_THROWS(Flows(place, {}, Expect::padded).lengths(Kind::invite));
}

TEST_CASE("flows are told by what NAT makes of their source") {
  const Flows flows(two_phones(), {}, Expect::mapped);
  CHECK(flows.flow_of("203.0.113.10", 5100) == 0U);
  CHECK(flows.flow_of("203.0.113.11", 5103) == 3U);
  CHECK_FALSE(flows.flow_of("203.0.113.10", 5103));
  CHECK_FALSE(flows.flow_of("203.0.113.10", 5104));
}

TEST_CASE("behind a proxy the numbers and the relay's address count") {
  const Ends ends{"10.0.0.1", 5100, "203.0.113.2", 5060};
  Values values{};
  const std::string answer = Template(marked_text(Kind::answer, {}, ends, {"10.0.0.1", 5100, "10.0.0.1", 5060})).text({7, 8, 9, 10'000});
  CHECK(read_proxied(answer, false, "10.0.0.1", values) == Kind::answer);
  CHECK(values == Values{7, 8, 9, 10'000});
  CHECK_FALSE(read_proxied(answer, false, "203.0.113.1", values));
  CHECK_FALSE(read_proxied(answer, true, "10.0.0.1", values));
}

TEST_CASE("a response takes the whole Via of its request") {
  const std::string request = "INFO sip:b SIP/2.0\r\nVia: first\r\nRecord-Route: <a>\r\nVia: second\r\nTo: b\r\n\r\nVia: body\r\n";
  CHECK(response_to(request, "SIP/2.0 200 OK\r\nVia: own\r\nTo: b\r\n\r\n") ==
        "SIP/2.0 200 OK\r\nVia: first\r\nRecord-Route: <a>\r\nVia: second\r\nTo: b\r\n\r\n");
}
