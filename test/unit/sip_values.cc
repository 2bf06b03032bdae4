// SPDX-License-Identifier: GPL-2.0-or-later
// The grammar of Via, the address headers, CSeq, Call-ID and the small values: one quirk per row.
#include "test/unit/support.h"

using namespace sipalg;
using namespace sipalg::sip;
using test::request;
using test::Scanned;

namespace {

// The message with this Via as its only one.
std::string with_via(std::string_view via) {
  std::string text = request();
  const std::size_t begin = text.find("Via: "), end = text.find("\r\n", begin);
  return text.replace(begin, end - begin, "Via:" + std::string(via));
}

std::string with_from(std::string_view from) {
  std::string text = request();
  const std::size_t begin = text.find("From: "), end = text.find("\r\n", begin);
  return text.replace(begin, end - begin, "From:" + std::string(from));
}

}  // namespace

TEST_CASE("Via: where host and port stand") {
  struct Case { const char *via, *host, *port, *branch; };
  for (const Case& c : {
           Case{" SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1", "10.0.0.2", "5060", "z9hG4bK1"},
           Case{"SIP/2.0/UDP 10.0.0.2", "10.0.0.2", "", ""},
           Case{" SIP / 2.0 / UDP pc33.example.com ; branch = b ", "pc33.example.com", "", "b"},
           Case{"\r\n SIP/2.0/UDP\r\n\t10.0.0.2 :\r\n 5060\r\n ;\r\n branch\r\n =\r\n b", "10.0.0.2", "5060", "b"},
           Case{" sip/2.0/udp [2001:db8::1]:5060;branch=b", "[2001:db8::1]", "5060", "b"},
           Case{" SIP/2.0/UDP [2001:db8::1]", "[2001:db8::1]", "", ""},
           Case{" SIP/2.0/UDP a_b.c-d:1;;branch=b;", "a_b.c-d", "1", "b"},
           Case{" SIP/2.0/UDP h;x=\"a;branch=no,\\\"\";branch=b", "h", "", "b"},
           Case{" SIP/2.0/UDP h;BRANCH=b;branchx=c", "h", "", "b"},
           Case{" SIP/2.0/UDP h;hidden (a comment, with \\) comma)", "h", "", ""},
           Case{" ,, SIP/2.0/UDP h:65535", "h", "65535", ""},
           Case{" SIP/2.0/UDP h;branch=", "h", "", ""},
       }) {
    INFO(c.via);
    const Scanned s(with_via(c.via));
    REQUIRE(s.error() == "ok");
    REQUIRE(s.message.vias.size() == 1);
    const Via& via = s.message.vias[0];
    CHECK(s.text(via.sent_by.host) == c.host);
    CHECK(s.text(via.sent_by.port) == c.port);
    CHECK(s.text(via.branch) == c.branch);
    CHECK(via.sent_by.port_number == (*c.port == '\0' ? 0 : std::stoi(c.port)));
    CHECK(via.sent_by.address == parse_address(c.host));
  }
}

TEST_CASE("Via: what is refused at the top and marked below") {
  for (const char* via : {" SIP/2.0/UDP", " SIP/2.0/UDP ", " SIP/2.0 h", " SIP/3.0/UDP h", " HTTP/2.0/UDP h", " SIP/2.0/UDP/h", " SIP/2.0/UDP h:", " SIP/2.0/UDP h:x",
                          " SIP/2.0/UDP h:65536", " SIP/2.0/UDP h:99999999999", " SIP/2.0/UDP 2001:db8::1", " SIP/2.0/UDP [2001:db8::1", " SIP/2.0/UDP [x]:5060",
                          " SIP/2.0/UDP [10.0.0.2]", " SIP/2.0/UDP h i", " SIP/2.0/UDP h;a=\"b", " SIP/2.0/UDP h;a=b c", " SIP/2.0/UDP h (c", " SIP/2.0/UDP @h", " SIP/2.0/UDP h;branch=a;branch=a",
                          " SIP/2.0/UDP h;maddr=a;Maddr=b"}) {
    INFO(via);
    CHECK(Scanned(with_via(via)).error() == "bad-via");
    const Scanned below(request("Via:" + std::string(via) + "\r\n"));
    REQUIRE(below.ok());
    CHECK(below.message.is_unreadable(Unreadable::lower_via));
    CHECK(below.message.vias.size() == 1);
  }
  CHECK(Scanned(with_via("")).error() == "missing-header");
  CHECK(Scanned(request("Via:\r\n")).message.vias.size() == 1);
}

TEST_CASE("Via: received, rport, maddr, transport") {
  const Scanned s(with_via(" SIP/2.0/TLS h;rport=5061;received=192.0.2.7;maddr=224.0.1.75;ttl=1, SIP/2.0/TCP i;received=2001:db8::9;rport, SIP/2.0/WS j;received=[2001:db8::a];rport=0x"));
  REQUIRE(s.ok());
  REQUIRE(s.message.vias.size() == 3);
  const Via &a = s.message.vias[0], &b = s.message.vias[1], &c = s.message.vias[2];
  CHECK(a.transport == Transport::tls);
  CHECK(a.rport_number == 5061);
  CHECK(s.text(a.rport) == "5061");
  CHECK(s.text(a.received.host) == "192.0.2.7");
  CHECK(a.received.address == parse_address("192.0.2.7"));
  CHECK(a.maddr.address == parse_address("224.0.1.75"));
  CHECK(b.transport == Transport::tcp);
  CHECK(b.received.address == parse_address("2001:db8::9"));
  CHECK(b.has_rport);
  CHECK_FALSE(b.rport.is_set());
  CHECK(c.transport == Transport::other);
  CHECK(s.text(c.received.host) == "[2001:db8::a]");
  CHECK(c.rport_number == 0);
  CHECK(s.text(a.value) == "SIP/2.0/TLS h;rport=5061;received=192.0.2.7;maddr=224.0.1.75;ttl=1");
  CHECK(s.text(b.value) == "SIP/2.0/TCP i;received=2001:db8::9;rport");
}

TEST_CASE("address headers: forms") {
  struct Case { const char *value, *user, *host, *port, *whole; };
  for (const Case& c : {
           Case{"<sip:10.0.0.2>", "", "10.0.0.2", "", "sip:10.0.0.2"},
           Case{"sip:a@10.0.0.2:5060;expires=5", "a", "10.0.0.2", "5060", "sip:a@10.0.0.2:5060"},
           Case{"  Bob Example <sip:a@b>", "a", "b", "", "sip:a@b"},
           Case{"\"Bob, \\\" <sip:no@no>\" <sip:a@b:1;lr?Subject=x>", "a", "b", "1", "sip:a@b:1;lr?Subject=x"},
           Case{"\"\"<sip:a@b>", "a", "b", "", "sip:a@b"},
           Case{"\xc3\x84rger <sip:a@b>", "a", "b", "", "sip:a@b"},
           Case{"* <sip:a@b>", "a", "b", "", "sip:a@b"},
           Case{"< sip:a@b>", nullptr, nullptr, nullptr, nullptr}, Case{"<sip:a@b >", nullptr, nullptr, nullptr, nullptr},
           Case{"<sip:a;b?c=d,e/f:pw@b:5>", "a;b?c=d,e/f:pw", "b", "5", "sip:a;b?c=d,e/f:pw@b:5"},
           Case{"<sip:%61+1-(2)@b>", "%61+1-(2)", "b", "", "sip:%61+1-(2)@b"},
           Case{"<SIPS:a@[2001:db8::1]:5061>", "a", "[2001:db8::1]", "5061", "SIPS:a@[2001:db8::1]:5061"},
           Case{"<sip:@b>", "", "b", "", "sip:@b"},
           Case{"<sip:h;x=a@b>", "h;x=a", "b", "", "sip:h;x=a@b"},
           Case{"<sip:a@b;maddr=c@d>", "a", "b", "", "sip:a@b;maddr=c@d"},
           Case{"<tel:+49-30-1>", "", "", "", "tel:+49-30-1"},
           Case{"<http://example.com/a?b=<>", nullptr, nullptr, nullptr, nullptr},
           Case{"http://example.com/a", "", "", "", "http://example.com/a"},
           Case{"<sip:a@b>;+sip.instance=\"<urn:uuid:1,2>\";q=0.7", "a", "b", "", "sip:a@b"},
           Case{"<sip:a@b>;+sip.instance=<urn:uuid:1,2>;q=0.7", "a", "b", "", "sip:a@b"},
           Case{"<sip:a@b> ; q = 0.7 ;\r\n flag ; other", "a", "b", "", "sip:a@b"},
           Case{"<sip:a@b>;token=dG9rZW4==;x", "a", "b", "", "sip:a@b"},
       }) {
    INFO(c.value);
    const Scanned s(request("Contact:" + std::string(c.value) + "\r\n"));
    REQUIRE(s.error() == "ok");
    CHECK(s.message.is_unreadable(Unreadable::contact) == (c.host == nullptr));
    if (c.host == nullptr) continue;
    REQUIRE(s.message.contacts.size() == 1);
    const Uri& uri = s.message.contacts[0].uri;
    CHECK(s.text(uri.user) == c.user);
    CHECK(s.text(uri.host.host) == c.host);
    CHECK(s.text(uri.host.port) == c.port);
    CHECK(s.text(uri.whole) == c.whole);
  }
}

TEST_CASE("address headers: what is unreadable fails its own header alone") {
  for (const char* value : {"x", "<sip:a@b", "sip:a@b>", "\"x <sip:a@b>", "\"x\" sip:a@b", "<sip:>", "<sip:a@>", "<sip:a@b@c>", "<sip:a b@c>", "<sip:a@b:>", "<sip:a@b:x>",
                            "<sip:a@b:65536>", "<sip:a@b c>", "<sip:a@2001:db8::1>", "<sip:a@[2001:db8::1>", "<sip:a@[10.0.0.2]>", "<sip:a@[::1]x>", "<>", "<:a@b>", "<5ip:a@b>",
                            "<sip:a@b> x", "<sip:a@b>;x=\"y", "<sip:a@b>><sip:c@d>", "sip:a@b?x=y", "<sip:a@b;x=\"y\">", "<sip:a@b>;q=0.1 (comment)", "<sip:a@b*>", "<sip:a@b;maddr=c;maddr=c>",
                            "sip:<sip:a@b>", "a@b <sip:a@b>"}) {
    INFO(value);
    const std::string line = std::string(value) + "\r\n";
    CHECK(Scanned(request("Contact: " + line)).message.is_unreadable(Unreadable::contact));
    CHECK(Scanned(request("Record-Route: " + line)).message.is_unreadable(Unreadable::record_route));
    CHECK(Scanned(request("Route: " + line)).message.is_unreadable(Unreadable::route));
    CHECK(Scanned(request("Path: " + line)).message.is_unreadable(Unreadable::path));
    CHECK(Scanned(request("Service-Route: " + line)).message.is_unreadable(Unreadable::service_route));
    const Scanned s(request("Refer-To: " + line + "Contact: <sip:a@b>, <sip:c@d>\r\n"));
    REQUIRE(s.ok());
    CHECK(s.message.is_unreadable(Unreadable::refer_to));
    CHECK(s.message.contacts.size() == 2);
  }
  const Scanned s(request("Contact: <sip:a@b>, x, <sip:c@d>\r\nContact: <sip:e@f>\r\n"));
  CHECK(s.message.is_unreadable(Unreadable::contact));
  CHECK(s.message.contacts.size() == 1);
  CHECK(Scanned(request("Refer-To: <sip:a@b>, <sip:c@d>\r\n")).message.is_unreadable(Unreadable::refer_to));
}

TEST_CASE("address lists: commas and repeated lines, in the order of the message") {
  const Scanned s(request("Record-Route: <sip:p1;lr>,<sip:p2:5062;lr> , \"a, b\" <sip:p3>;x=\"c,d\"\r\nRecord-Route:\r\nRecord-Route: ,\r\n"
                          "record-route: sip:p4;lr\r\nRoute: <sip:r1;lr>\r\nPath: <sip:u@p>\r\nService-Route: <sip:s>\r\n"));
  REQUIRE(s.error() == "ok");
  CHECK(s.message.unreadable == 0);
  std::string hosts;
  for (const NameAddr& one : s.message.record_routes) hosts += std::string(s.text(one.uri.host.whole())) + " ";
  CHECK(hosts == "p1 p2:5062 p3 p4 ");
  CHECK(s.message.record_routes[0].uri.has_lr);
  CHECK_FALSE(s.message.record_routes[3].uri.has_lr);  // without brackets ;lr belongs to the header
  CHECK(s.message.record_routes[0].in_brackets);
  CHECK_FALSE(s.message.record_routes[3].in_brackets);
  CHECK(s.message.routes.size() == 1);
  CHECK(s.message.paths.size() == 1);
  CHECK(s.message.service_routes.size() == 1);
}

TEST_CASE("URI parameters") {
  const Scanned s(request("Contact: <sip:a@b;Transport=TCP;maddr=10.0.0.9;lr=on;x>, <sip:b;transport=sctp;LR>,<sip:c;maddr=[2001:db8::1]?a=b>,<sip:d;transport=udp;transport=tcp>\r\n"));
  REQUIRE(s.ok());
  REQUIRE(s.message.contacts.size() == 4);
  const auto& c = s.message.contacts;
  CHECK(c[0].uri.transport == Transport::tcp);
  CHECK(c[0].uri.maddr.address == parse_address("10.0.0.9"));
  CHECK(s.text(c[0].uri.maddr.host) == "10.0.0.9");
  CHECK(c[0].uri.has_lr);
  CHECK(c[1].uri.transport == Transport::other);
  CHECK(c[1].uri.has_lr);
  CHECK(c[2].uri.maddr.address == parse_address("2001:db8::1"));
  CHECK(c[3].uri.transport == Transport::udp);
}

TEST_CASE("Contact: star, expires, emptiness") {
  for (const char* value : {"*", " * ", "*\r\n "}) {
    const Scanned s(request("Contact:" + std::string(value) + "\r\n"));
    REQUIRE(s.message.contacts.size() == 1);
    CHECK(s.message.contacts[0].is_star);
    CHECK(s.text(s.message.contacts[0].value) == "*");
  }
  CHECK(Scanned(request("Contact:\r\nm: \r\n")).message.unreadable == 0);
  CHECK(Scanned(request("Contact:\r\n")).message.contacts.empty());
  CHECK(Scanned(request("m: <sip:a@b>;expires=0\r\n")).message.contacts[0].expires == 0U);
  CHECK_FALSE(Scanned(request("m: <sip:a@b>;expires=soon\r\n")).message.contacts[0].expires);
  CHECK_FALSE(Scanned(request("m: <sip:a@b>;expires=99999999999\r\n")).message.contacts[0].expires);
  CHECK_FALSE(Scanned(request("m: <sip:a@b;expires=5>\r\n")).message.contacts[0].expires);
}

TEST_CASE("From and To") {
  struct Case { const char *value, *error, *tag; bool unreadable; };
  for (const Case& c : {
           Case{" <sip:a@b>;tag=1", "ok", "1", false}, Case{" sip:a@b;tag=1", "ok", "1", false}, Case{" <sip:a@b>", "ok", "", false},
           Case{" \"A\" <sip:a@b> ; x = y ; TAG = 1 ", "ok", "1", false}, Case{" <tel:1>;tag=1;tag=2", "ok", "1", false},
           Case{" <anonymous>;tag=1", "ok", "1", true}, Case{" <sip:a@b c>;tag=1", "ok", "1", true}, Case{"poo <bear@x>;tag=1", "ok", "1", true},
           Case{" <sip:a@b>;tag=", "ok", "", false}, Case{"", "bad-name-addr", "", false}, Case{" ;tag=1", "ok", "1", true},
           Case{" Smith, John <sip:a@b>;tag=1", "ok", "1", false}, Case{" john@home <sip:a@b>;tag=1", "ok", "1", false},
           Case{" J\xc3\xb6rg, M. & Co. <sip:a@b>", "ok", "", false}, Case{" a, sip:a@b;tag=1", "bad-name-addr", "", false},
           Case{" \"A <sip:a@b>;tag=1", "bad-name-addr", "", false}, Case{" <sip:a@b>, <sip:c@d>", "bad-name-addr", "", false},
           Case{" <sip:a@b;tag=1", "bad-name-addr", "", false}, Case{" <sip:a@b>;tag=\"1", "bad-name-addr", "", false},
       }) {
    INFO(c.value);
    const Scanned s(with_from(c.value));
    CHECK(s.error() == c.error);
    if (!s.ok()) continue;
    CHECK(s.text(s.message.from.tag) == c.tag);
    CHECK(s.message.is_unreadable(Unreadable::from) == c.unreadable);
  }
  CHECK(Scanned(with_from(" <sip:a@b>;tag=" + std::string(limits::tag_bytes + 1, 't'))).error() == "too-many");
}

TEST_CASE("CSeq and Call-ID") {
  struct Case { const char *name, *value, *error; };
  for (const Case& c : {Case{"CSeq", "0009\r\n  INVITE ", "ok"}, Case{"CSeq", "4294967295 x'y", "ok"}, Case{"CSeq", "4294967296 INVITE", "bad-cseq"},
                        Case{"CSeq", "1", "bad-cseq"}, Case{"CSeq", "INVITE", "bad-cseq"}, Case{"CSeq", "1INVITE", "bad-cseq"}, Case{"CSeq", "1 INV ITE", "bad-cseq"},
                        Case{"CSeq", "", "bad-cseq"}, Case{"CSeq", "-1 INVITE", "bad-cseq"}, Case{"Call-ID", "a", "ok"}, Case{"Call-ID", "\r\n a@b<>\"{}", "ok"},
                        Case{"Call-ID", "a b", "bad-call-id"}, Case{"Call-ID", "", "bad-call-id"}}) {
    INFO(c.name << ": " << c.value);
    std::string text = request();
    const std::size_t begin = text.find(c.name), end = text.find("\r\n", begin);
    text.replace(begin, end - begin, std::string(c.name) + ": " + c.value);
    CHECK(Scanned(text).error() == c.error);
  }
}

TEST_CASE("small values") {
  struct Case { const char* line; std::optional<uint32_t> expires; bool auth; };
  for (const Case& c : {Case{"Expires: 60", 60, false}, Case{"Expires: 60;x", 60, false}, Case{"Expires: soon", {}, false}, Case{"Expires: -1", {}, false},
                        Case{"Authorization: Digest a=\"b\", qop=auth-int, nc=1", {}, true}, Case{"Proxy-Authorization: Digest qop=\"Auth-Int\"", {}, true},
                        Case{"Authorization: Digest qop=auth, cnonce=\"a-b-\"", {}, false}, Case{"WWW-Authenticate: Digest qop=\"auth,auth-int\"", {}, false}}) {
    INFO(c.line);
    const Scanned s(request(std::string(c.line) + "\r\n"));
    REQUIRE(s.ok());
    CHECK(s.message.expires == c.expires);
    CHECK(s.message.has_auth_int == c.auth);
  }
}
