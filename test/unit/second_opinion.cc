// SPDX-License-Identifier: GPL-2.0-or-later
// Where the two parsers agree, where they do not, and what the guard keeps from the other one.
#include "alg/sip/second_opinion.h"

#include "alg/edit/edit_list.h"
#include "test/unit/support.h"

using namespace sipalg;
using namespace sipalg::sip;
using test::request;
using test::Sample;
using test::Scanned;

namespace {

constexpr auto every = static_cast<Compared>(1023);

Opinion opinion_on(const std::string& text, Compared fields = every) {
  static SecondOpinion second;
  const Scanned s(text);
  REQUIRE(s.error() == "ok");
  return second.on(s.exact, s.message, fields);
}

constexpr const char* rich =
    "Via: SIP/2.0/TCP [2001:db8::1] : 5060 ; maddr=10.0.0.3 ;branch=b, SIP/2.0/UDP x\r\n"
    "Contact: \"A, <B>\" <sip:a@10.0.0.2:5062;maddr=1.2.3.4>;expires=1, sip:[2001:db8::1]:5060;q=1\r\nm: <tel:1>\r\n"
    "Record-Route: <sip:10.0.0.3;lr>,\r\n <sip:p2:5061;lr>\r\nRoute: <sip:u@10.0.0.4:1>\r\nPath: <sip:p@10.0.0.5>\r\nService-Route: <sip:s:5>\r\nRefer-To: <sip:r@10.0.0.9:99?Replaces=x>\r\n";

}  // namespace

TEST_CASE("the two agree about a message with everything") {
  const Opinion opinion = opinion_on(request(rich));
  CHECK(static_cast<int>(opinion.differs) == 0);
  CHECK(static_cast<int>(opinion.unreadable) == 0);
  CHECK(opinion_on("\r\n\r\n" + request(rich, "v=0\r\n")).agrees());
  CHECK(opinion_on(request("Contact: *\r\n")).agrees());
}

TEST_CASE("errors in other headers do not count, and only what is asked for is compared") {
  const std::string text = request("Allow: (((\r\nDate: never\r\nRetry-After: x\r\nWarning: 1\r\nContact: <sip:a@b>\r\nRoute: <sip:1>;x=\"y\", <sip:c%@d>\r\n");
  CHECK(opinion_on(text, Compared::contact | Compared::top_via).agrees());
}

TEST_CASE("a field our own scanner could not read is unreadable") {
  const Opinion opinion = opinion_on(request("Contact: <sip:a@b@c>\r\n"), Compared::contact | Compared::top_via);
  CHECK(opinion.unreadable == Compared::contact);
}

TEST_CASE("any moved endpoint is seen") {
  const Scanned s(request(rich));
  SecondOpinion second;
  const auto is_seen = [&](auto change, Compared field) {
    Message message = s.message;
    change(message);
    return second.on(s.exact, message, every).differs == field;
  };
  const auto shift = [](auto& list, std::size_t index) {
    auto copy = list;
    list.clear();
    for (std::size_t i = 0; i < copy.size(); ++i) {
      NameAddr one = copy[i];
      if (i == index) ++one.uri.host.host.begin;
      list.push(one);
    }
  };
  CHECK(is_seen([](Message& m) { ++m.request_uri.host.host.begin; }, Compared::request_uri));
  CHECK(is_seen([&](Message& m) { shift(m.contacts, 1); }, Compared::contact));
  CHECK(is_seen([&](Message& m) { shift(m.record_routes, 1); }, Compared::record_route));
  CHECK(is_seen([&](Message& m) { shift(m.routes, 0); }, Compared::route));
  CHECK(is_seen([&](Message& m) { shift(m.paths, 0); }, Compared::path));
  CHECK(is_seen([&](Message& m) { shift(m.service_routes, 0); }, Compared::service_route));
  CHECK(is_seen([](Message& m) { --m.from.uri.host.host.end; }, Compared::from));
  CHECK(is_seen([](Message& m) { m.to.uri.host.port = {1, 2}; }, Compared::to));
  CHECK(is_seen([](Message& m) { m.refer_to.uri.host.port = {}; }, Compared::refer_to));
  CHECK(is_seen([](Message& m) { m.contacts.drop_last(); }, Compared::contact));
}

TEST_CASE("what is written around an endpoint does not keep the other parser from reading it") {
  for (const char* contact : {"J\xc3\xb6rg <sip:a@10.0.0.2:5062>", "Mueller & Co. <sip:a@10.0.0.2>", "John (Sales) <sip:a@10.0.0.2>;q=1", "<sip:a@10.0.0.2>;expires=",
                              "<sip:a@10.0.0.2:5062>;", "sip:a@10.0.0.2;q=", "<sip:a@10.0.0.2>;x=a@b", "<sip:a@10.0.0.2>;+sip.instance=<urn:uuid:1>"}) {
    INFO(contact);
    CHECK(opinion_on(request("Contact: " + std::string(contact) + "\r\n")).agrees());
    CHECK(opinion_on(request("Contact: <sip:z@1.2.3.4>, " + std::string(contact) + ", <sip:y@1.2.3.4:9>\r\n")).agrees());
    CHECK(opinion_on(request("Record-Route: " + std::string(contact) + "\r\n")).agrees());
  }
  for (const char* via : {"SIP/2.0/UDP 10.0.0.2:5060;rport=;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK==", "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;"}) {
    INFO(via);
    std::string text = request("");
    const std::size_t at = text.find("Via: ") + 5;
    text.replace(at, text.find('\r', at) - at, via);
    CHECK(opinion_on(text).agrees());
  }
  // where it is open what belongs to what, nothing is taken away
  CHECK_FALSE(opinion_on(request("Contact: J\xc3\xb6rg > <sip:a@10.0.0.2>\r\n"), Compared::contact).agrees());
}

TEST_CASE("the guard keeps away what costs the other parser seconds") {
  std::string lines, commas;
  for (std::size_t i = 0; i < limits::guard_header_lines; ++i) lines += "a:\r\n";
  for (std::size_t i = 0; i <= limits::guard_commas; ++i) commas += ",";
  CHECK(opinion_on(request(lines)).unreadable == every);
  CHECK(opinion_on(request("Allow: " + commas + "\r\n")).unreadable == every);
  CHECK(opinion_on(request("Subject: " + std::string(limits::guard_header_bytes, 'x') + "\r\n")).unreadable == every);
  CHECK(opinion_on(request("", std::string(65'535, 'x'))).unreadable == every);
  CHECK(opinion_on(request("", std::string(65'000, 'x'))).agrees());
}

TEST_CASE("the two agree about every captured and published message") {
  auto samples = test::read_captures();
  auto published = test::read_folder("rfc3665");
  if (samples.empty() || published.empty()) WARN("inputs are absent: skipped");
  std::move(published.begin(), published.end(), std::back_inserter(samples));
  SecondOpinion second;
  std::size_t compared = 0;
  for (const Sample& sample : samples) {
    const Scanned s(sample.bytes);
    if (!s.ok()) continue;  // sip_torture.cc says which
    INFO(sample.name);
    CHECK(second.on(s.exact, s.message, every).agrees());
    ++compared;
  }
  CHECK((samples.empty() || compared > 290));
}

TEST_CASE("after an edit both read the new endpoints, and the same header fields as before") {
  auto samples = test::read_captures();
  if (samples.empty()) WARN("inputs/captures is absent: skipped");
  samples.push_back({"rich", request(rich)});
  SecondOpinion second;
  for (const Sample& sample : samples) {
    const Scanned before(sample.bytes);
    if (!before.ok()) continue;
    INFO(sample.name);
    EditList edits;
    REQUIRE(edits.add(before.message.vias.front().sent_by.whole(), Field::via, "203.0.113.1:61000"));
    for (const NameAddr& one : before.message.contacts)
      if (one.uri.host.host.is_set()) REQUIRE(edits.add(one.uri.host.whole(), Field::contact, "[2001:db8::77]:61001"));
    std::string out;
    apply(before.exact, edits, out);
    const Scanned after(out);
    REQUIRE(after.error() == "ok");
    CHECK(second.on(after.exact, after.message, every).agrees());
    CHECK(after.text(after.message.vias.front().sent_by.whole()) == "203.0.113.1:61000");
    CHECK(after.message.vias.size() == before.message.vias.size());
    REQUIRE(after.message.contacts.size() == before.message.contacts.size());
    for (const NameAddr& one : after.message.contacts)
      if (one.uri.host.host.is_set()) CHECK(after.text(one.uri.host.whole()) == "[2001:db8::77]:61001");
    CHECK(after.text(after.message.body) == before.text(before.message.body));
    CHECK(after.text(after.message.call_id) == before.text(before.message.call_id));
  }
}
