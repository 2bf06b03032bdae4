// SPDX-License-Identifier: GPL-2.0-or-later
// What others may not reach by what they write: doors of hosts that asked for nothing, records that never end, tables that grow.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "alg/base/limits.h"
#include "test/engine/call_steps.h"

using namespace sipalg;
using namespace sipalg::test;
using namespace std::chrono_literals;

namespace {

constexpr auto a_month = std::chrono::hours(24 * 30);

// Without its body.
std::string bare(const std::string& message) { return message.substr(0, message.find("Content-Type")) + "Content-Length: 0\n\n"; }

bool has_inside_address(const std::string& text) { return text.find("10.0.0.") != std::string::npos; }

bool has_door_to(const World& world, std::string_view host, uint16_t port) {
  return std::ranges::any_of(world.kernel.living, [&](const auto& living) {
    return living.second.inside == Endpoint{*parse_address(host), port};
  });
}

}  // namespace

TEST_CASE("a Record-Route or a Via that came with a request opens no door when the answer carries it back") {
  const std::string provider_route = "Record-Route: <sip:203.0.113.2;lr>\n";
  const std::array<std::string, 3> all{"Record-Route: <sip:10.0.0.2:3389;transport=tcp;lr>\n",
                                       "Record-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.99:3389;transport=tcp;lr>\n",
                                       "Record-Route: <sip:10.0.0.99:3389;lr>\nVia: SIP/2.0/UDP 10.0.0.99;branch=z9hG4bKx\n"};
  for (const std::string& planted : all) {
    CAPTURE(planted);
    World world;
    world.out(phone, provider, sip_text(registration));
    world.delivered(provider, w, sip_text(ok_to_registration));
    const std::string planted_into = provider_route + planted + "From:";
    world.delivered(provider, w, sip_text(with(with(invite_from_bob, "From:", planted_into), "bob@203.0.113.2:5060", "bob@198.51.100.66:5060")));
    const std::string ringing =
        world.out(phone, provider, sip_text(with(with(bare(ok_from_alice), "200 OK", "180 Ringing"), "From:", planted_into)));
    CHECK(ringing.find(planted.substr(0, planted.find('\n'))) != std::string::npos);  // as it came
    CHECK_FALSE(has_door_to(world, "10.0.0.2", 3389));
    CHECK_FALSE(has_door_to(world, "10.0.0.99", 3389));
  }
}

TEST_CASE("what a stranger's OPTIONS plants opens no door behind a PBX's DNAT") {
  World world;
  world.forward(w, "10.0.0.10:5060");
  const auto as_options = [](const std::string& message) {
    return with(with(with(message, "INVITE", "OPTIONS"), "203.0.113.2", "198.51.100.66"), "From:",
                "Record-Route: <sip:10.0.0.99:8080;transport=tcp;lr>\nFrom:");
  };
  world.delivered("198.51.100.66:5060", w, sip_text(as_options(invite_from_bob)));
  world.out("10.0.0.10:5060", "198.51.100.66:5060", sip_text(as_options(bare(ok_from_alice))));
  CHECK_FALSE(has_door_to(world, "10.0.0.99", 8080));
}

TEST_CASE("a re-INVITE that is answered after BYE leaves nothing for ever") {
  for (const bool from_bob : {false, true}) {
    CAPTURE(from_bob);
    World world;
    set_up_call(world);
    hang_up(world);
    world.pass_time(5s);
    if (from_bob) {
      const auto as_invite = [](const std::string& m) { return with(with(with(m, "BYE", "INVITE"), "CSeq: 77", "CSeq: 76"), "z9hG4bKb9", "z9hG4bKb7"); };
      world.delivered("203.0.113.2:5080", w, sip_text(as_invite(bye_from_bob)));
      world.out(phone, "203.0.113.2:5080", sip_text(as_invite(ok_to_bye)));
    } else {
      const auto again = [](const std::string& m) { return with(with(m, "z9hG4bK1", "z9hG4bK3"), "CSeq: 1", "CSeq: 2"); };
      world.out(phone, "203.0.113.2:5080", sip_text(with(again(invite), "To: <sip:bob@example.net>", "To: <sip:bob@example.net>;tag=b1")));
      world.delivered("203.0.113.2:5080", w, sip_text(again(ok_to_invite)));
    }
    world.pass_time(a_month);
    CHECK(world.engine.totals().calls == 0);
    CHECK(world.doors() == 0);
  }
}

TEST_CASE("more branches than a call may have leave nothing for ever") {
  World world;
  world.out(phone, provider, sip_text(invite));
  const std::string ringing = with(bare(ok_to_invite), "200 OK", "180 Ringing");
  for (std::size_t i = 0; i < limits::dialogs_per_call; ++i)
    world.delivered(provider, w, sip_text(with(ringing, "tag=b1", "tag=c" + std::to_string(i))));
  world.delivered(provider, w, sip_text(ok_to_invite));
  world.pass_time(a_month);
  CHECK(world.engine.totals().calls == 0);
  CHECK(world.doors() == 0);
}

TEST_CASE("a call whose 2xx has no To tag lives, and ends with its BYE") {
  const auto untagged = [](const std::string& message) { return with(message, ";tag=b1", ""); };
  World world;
  world.out(phone, provider, sip_text(invite));
  world.delivered(provider, w, sip_text(untagged(ok_to_invite)));
  world.out(phone, "203.0.113.2:5080", sip_text(untagged(ack)));
  world.kernel.with_flow.insert(ep("203.0.113.1:4000"));
  world.pass_time(2min);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.delivered("203.0.113.2:5080", w, sip_text(untagged(bye_from_bob)));
  world.out(phone, "203.0.113.2:5080", sip_text(untagged(ok_to_bye)));
  CHECK_FALSE(world.door_of("10.0.0.2:4000"));
}

TEST_CASE("one Call-ID with ever new From tags fills no table") {
  World world;
  world.forward(w, "10.0.0.10:5060");
  const std::string base = sip_text(invite_from_bob);
  for (std::size_t i = 0; i < limits::legs_per_call + 10; ++i)
    CHECK(world.in("198.51.100.66:5060", w, with(with(base, "tag=b7", "tag=b" + std::to_string(i)), "z9hG4bKi1", "z9hG4bKi" + std::to_string(i))));
  CHECK(world.stats()[Event::calls_refused_by_bound] == 10);
}

TEST_CASE("a request to a media door passes as it came, and begins nothing") {
  World world;
  set_up_call(world);
  const std::string stranger =
      with(with(with(with(invite_from_bob, "bob@203.0.113.2:5060", "x@192.0.2.77:9999;transport=tcp"), "call-7", "other"), "203.0.113.2:5060",
                "198.51.100.66:5060"),
           "203.0.113.1 SIP", "203.0.113.1:4000 SIP");
  CHECK(world.delivered("198.51.100.66:5060", "203.0.113.1:4000", sip_text(stranger)) == sip_text(stranger));
  CHECK(world.verdict.reason == Reason::media_endpoint);
  CHECK(world.engine.totals().calls == 1);
  CHECK_FALSE(world.has_way_out("10.0.0.2", "192.0.2.77:9999"));
}

TEST_CASE("an endpoint known toward many remotes gets another port where one of them is another host's") {
  World world;
  const auto of = [](const std::string& name) { return sip_text(with(with(invite, "call-1", name), "z9hG4bK1", "z9hG4bK" + name)); };
  for (int i = 1; i <= 50; ++i) world.out(phone, "198.51.100." + std::to_string(i) + ":5060", of("c" + std::to_string(i)));
  world.forget_flows();
  world.out("10.0.0.3:5060", "192.0.2.50:5060", with(of("other"), "10.0.0.2", "10.0.0.3"));
  const std::string moved = world.out(phone, "192.0.2.50:5060", of("last"));
  CHECK_FALSE(has_inside_address(moved.substr(moved.find("Contact:"), 40)));
  CHECK(moved.find("Contact: <sip:alice@203.0.113.1:5060") == std::string::npos);
}

TEST_CASE("the session's address is mapped where no line relies on it") {
  World world;
  const std::string own = with(invite.substr(0, invite.find("m=audio")), "s=10.0.0.2", "s=-") + "m=audio 4000 RTP/AVP 0\nc=IN IP4 10.0.0.2\n";
  const std::string mapped = world.out(phone, provider, sip_text(own));
  CHECK_FALSE(has_inside_address(mapped.substr(mapped.find("v=0"))));
}

TEST_CASE("the session's address is mapped where a proxy sends the description of another host, and no line is left") {
  World world({.pbx = {"10.0.0.5"}});
  const std::string off = with(with(invite, "s=10.0.0.2", "s=-"), "m=audio 4000", "m=audio 0");
  const std::string mapped = world.out("10.0.0.5:5060", provider, sip_text(off.substr(0, off.find("a=rtcp"))));
  CHECK_FALSE(has_inside_address(mapped.substr(mapped.find("v=0"))));
}

TEST_CASE("one host's unanswered requests do not keep another from calling, and it may ask again when they are over") {
  World world;
  const std::string options = sip_text(with(with(bare(invite), "INVITE", "OPTIONS"), "10.0.0.2", "10.0.0.66"));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < limits::transactions_per_host + 10; ++i) {
    world.out("10.0.0.66:5060", provider, with(options, "z9hG4bK1", "z9hG4bK" + std::to_string(i)));
    refused += world.verdict.reason == Reason::table_full ? 1 : 0;
  }
  CHECK(refused == 10);
  world.out(phone, provider, sip_text(invite));
  CHECK(world.verdict.reason == Reason::edited);
  CHECK(world.door_of("10.0.0.2:4000"));
  world.pass_time(40s);
  world.out("10.0.0.66:5060", provider, options);
  CHECK(world.verdict.reason == Reason::edited);
}
