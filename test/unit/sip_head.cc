// SPDX-License-Identifier: GPL-2.0-or-later
// The structure of a message: first line, line ends, the set of headers, the body.
#include "test/unit/support.h"

using namespace sipalg;
using namespace sipalg::sip;
using test::request;
using test::Scanned;

TEST_CASE("an ordinary INVITE") {
  const Scanned s(
      "INVITE sip:bob@192.0.2.4;x=y SIP/2.0\r\n"
      "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport\r\n"
      "Max-Forwards: 70\r\n"
      "From: Alice <sip:alice@example.com>;tag=a1\r\n"
      "To: \"Bob\" <sip:bob@example.com>\r\n"
      "Call-ID: 7@10.0.0.2\r\n"
      "CSeq: 31862 INVITE\r\n"
      "Contact: \"Bob\" <sip:bob@10.0.0.2:5060;ob>;expires=60\r\n"
      "Require: timer, 100rel\r\n"
      "Session-Expires: 1800;refresher=uac\r\n"
      "Expires: 120\r\n"
      "Content-Type: application/sdp\r\n"
      "Content-Length: 5\r\n"
      "\r\n"
      "v=0\r\n");
  REQUIRE(s.error() == "ok");
  const Message& m = s.message;
  CHECK(m.unreadable == 0);
  CHECK(m.is_request);
  CHECK(m.method == Method::invite);
  CHECK(s.text(m.method_text) == "INVITE");
  CHECK(s.text(m.request_uri.whole) == "sip:bob@192.0.2.4;x=y");
  CHECK(s.text(m.first_line) == "INVITE sip:bob@192.0.2.4;x=y SIP/2.0");
  CHECK(s.text(m.vias[0].value) == "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport");
  CHECK(s.text(m.vias[0].sent_by.whole()) == "10.0.0.2:5060");
  CHECK(m.vias[0].sent_by.port_number == 5060);
  CHECK(m.vias[0].has_rport);
  CHECK_FALSE(m.vias[0].rport.is_set());
  CHECK(s.text(m.from.tag) == "a1");
  CHECK_FALSE(m.to.tag.is_set());
  CHECK(s.text(m.call_id) == "7@10.0.0.2");
  CHECK(m.cseq == 31862);
  CHECK(s.text(m.contacts[0].value) == "\"Bob\" <sip:bob@10.0.0.2:5060;ob>;expires=60");
  CHECK(m.contacts[0].expires == 60U);
  CHECK(s.text(m.contacts[0].uri.user) == "bob");
  CHECK(m.session_expires == 1800U);
  CHECK(m.expires == 120U);
  CHECK(s.text(m.content_length) == "5");
  CHECK(s.text(m.body) == "v=0\r\n");
  CHECK(m.head.begin == 0);
  CHECK(m.head.end == m.body.begin);
}

TEST_CASE("a response takes its method from CSeq") {
  const Scanned s("SIP/2.0 183 Session Progress\r\nv: SIP/2.0/UDP 10.0.0.2\r\nf: sip:a@b;tag=1\r\nt: sip:b@c;tag=2\r\ni: x\r\ncseq: 1 UPDATE\r\n\r\n");
  REQUIRE(s.error() == "ok");
  CHECK_FALSE(s.message.is_request);
  CHECK(s.message.status == 183);
  CHECK(s.message.method == Method::update);
}

TEST_CASE("a request keeps the method of its request line when CSeq has another") {
  const Scanned s(request("", "", "BYE sip:x SIP/2.0"));
  REQUIRE(s.ok());
  CHECK(s.message.method == Method::bye);
  CHECK(s.text(s.message.cseq_method) == "INVITE");
}

TEST_CASE("first lines") {
  struct Case { const char *line, *error; };
  for (const Case& c : {
           Case{"INVITE sip:b@c SIP/2.0", "ok"}, Case{"INVITE sip:b@c sip/2.0", "ok"}, Case{"INVITE  sip:b@c  SIP/2.0  ", "ok"},
           Case{"FOO~'! sip:b@c SIP/2.0", "ok"}, Case{"INVITE tel:+49301234 SIP/2.0", "ok"}, Case{"INVITE urn:service:sos SIP/2.0", "ok"},
           Case{"INVITE sips:b@[2001:db8::1]:5061 SIP/2.0", "ok"}, Case{"INVITE sip:b@ SIP/2.0", "ok"}, Case{"INVITE nothing SIP/2.0", "ok"},
           Case{"SIP/2.0 200 OK", "ok"}, Case{"SIP/2.0 200 ", "ok"}, Case{"SIP/2.0 200", "ok"}, Case{"sip/2.0 699 x", "ok"},
           Case{"INVITE sip:b c SIP/2.0", "bad-uri"}, Case{"INVITE <sip:b@c> SIP/2.0", "bad-uri"}, Case{"INVITE sip:b@c SIP/1.0", "not-sip"},
           Case{"INVITE sip:b@c SIP/2.00", "not-sip"}, Case{"INVITE sip:b@c", "not-sip"}, Case{"INVITE SIP/2.0", "not-sip"},
           Case{" INVITE sip:b@c SIP/2.0", "not-sip"}, Case{"INV@ITE sip:b@c SIP/2.0", "not-sip"}, Case{"SIP/2.0 99 x", "not-sip"},
           Case{"SIP/2.0 700 x", "not-sip"}, Case{"SIP/2.0 2000 x", "not-sip"}, Case{"SIP/2.0 20x", "not-sip"}, Case{"SIP/2.0200 x", "not-sip"},
           Case{"SIP/2.0 0200 x", "not-sip"}, Case{"SIP/3.0 200 OK", "not-sip"}, Case{"GET / HTTP/1.1", "not-sip"}, Case{"x", "not-sip"},
       }) {
    INFO(c.line);
    CHECK(Scanned(request("", "", c.line)).error() == c.error);
  }
  CHECK(Scanned(request("", "", "INVITE sip:b@ SIP/2.0")).message.is_unreadable(Unreadable::request_uri));
}

TEST_CASE("what is no message at all") {
  for (const std::string& text : {std::string(), std::string("\r\n\r\n"), std::string("\r\n"), std::string(4, '\0'), std::string("  \r\n"), std::string("\0\r\n", 3)})
    CHECK(Scanned(text).error() == "empty");
  CHECK(Scanned("\x80\x01").error() == "not-sip");
  CHECK_FALSE(begins_like_sip(""));
  CHECK_FALSE(begins_like_sip("INVITE sip:a@b SIP/2.0"));
  CHECK(begins_like_sip("INVITE sip:a@b SIP/2.0\r\n"));
  CHECK(begins_like_sip("\r\n\r\nSIP/2.0 200 OK\n"));
  CHECK_FALSE(begins_like_sip("POST / HTTP/1.1\r\nREGISTER sip:a SIP/2.0\r\n"));
}

TEST_CASE("line ends may be CRLF, LF, or mixed; leading ones are passed over") {
  const std::string crlf = "\r\n\r\n" + request("m: <sip:a@b>\r\nl: 2\r\n", "ab");
  std::string lf, mixed;
  for (std::size_t i = 0; i < crlf.size(); ++i) {
    if (crlf[i] != '\r') lf += crlf[i];
    if (crlf[i] != '\r' || i % 2 == 0) mixed += crlf[i];
  }
  for (const std::string& text : {crlf, lf, mixed}) {
    const Scanned s(text);
    REQUIRE(s.error() == "ok");
    CHECK(s.text(s.message.contacts[0].uri.host.host) == "b");
    CHECK(s.text(s.message.body) == "ab");
    CHECK(s.text(s.message.head).starts_with("INVITE"));
  }
}

TEST_CASE("the head must end, without NUL or CR by itself") {
  struct Case { std::string text; const char* error; };
  for (const Case& c : {
           Case{request().substr(0, request().size() - 2), "no-blank-line"}, Case{request().substr(0, request().size() - 1), "no-blank-line"},
           Case{request("Supported: x\rRoute: <sip:z>\r\n"), "bare-cr"}, Case{request("Subject: x\r\r\n"), "bare-cr"},
           Case{request(std::string("Subject: \0\r\n", 12)), "nul-in-head"}, Case{request("Subject\r\n"), "bad-header"}, Case{request(": x\r\n"), "bad-header"},
       }) {
    INFO(escaped(c.text));
    CHECK(Scanned(c.text).error() == c.error);
  }
  CHECK(Scanned("INVITE sip:a@b SIP/2.0\r\n folded\r\n\r\n").error() == "bad-header");
  CHECK(Scanned(request("", std::string("\0\r\r", 3))).ok());  // a body may hold anything
}

TEST_CASE("five headers must be there, once") {
  const std::string whole = request("Content-Length: 0\r\n");
  for (const char* name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
    INFO(name);
    const std::size_t begin = whole.find(std::string("\r\n") + name + ":") + 2, end = whole.find("\r\n", begin) + 2;
    std::string without = whole;
    without.erase(begin, end - begin);
    CHECK(Scanned(without).error() == "missing-header");
    std::string twice = whole;
    twice.insert(begin, whole.substr(begin, end - begin));
    CHECK(Scanned(twice).error() == (std::string_view(name) == "Via" ? "ok" : "duplicate-header"));
  }
  CHECK(Scanned(request("Content-Length: 0\r\nl: 0\r\n")).error() == "duplicate-header");
}

TEST_CASE("names: compact, any case, blanks before the colon") {
  for (const char* line : {"m: <sip:a@b>", "M:<sip:a@b>", "CONTACT : <sip:a@b>", "contact\t:\t<sip:a@b>", "cOnTaCt:\r\n <sip:a@b>", "Contact\r\n : <sip:a@b>"}) {
    INFO(line);
    const Scanned s(request(std::string(line) + "\r\n"));
    REQUIRE(s.ok());
    REQUIRE(s.message.contacts.size() == 1);
    CHECK(s.text(s.message.contacts[0].uri.host.host) == "b");
  }
  const Scanned s(request("c: a/b\r\ne: gzip\r\nx: 90\r\ny: abc\r\nr: <sip:r@x>\r\nl: 0\r\nSubscription-State: active\r\n"));
  REQUIRE(s.ok());
  const Message& m = s.message;
  CHECK(s.text(m.content_type) == "a/b");
  CHECK(s.text(m.content_encoding) == "gzip");
  CHECK(m.session_expires == 90U);
  CHECK(m.has_identity);
  CHECK(s.text(m.refer_to.uri.host.host) == "x");
  CHECK(s.text(m.subscription_state) == "active");
  for (const char* line : {"Contac: <sip:a@b>", "Contactx: <sip:a@b>", "X: <sip:a@b>", "mm: <sip:a@b>", "Con tact: <sip:a@b>"})
    CHECK(Scanned(request(std::string(line) + "\r\n")).message.contacts.empty());
}

TEST_CASE("bodies") {
  struct Case { const char *header, *body, *error, *seen; };
  for (const Case& c : {Case{"Content-Length: 3\r\n", "abc", "ok", "abc"}, Case{"Content-Length: 2\r\n", "abc", "ok", "ab"},
                        Case{"Content-Length: 0\r\n", "abc", "ok", ""}, Case{"", "abc", "ok", "abc"}, Case{"", "", "ok", ""},
                        Case{"Content-Length: 4\r\n", "abc", "body-too-short", ""}, Case{"Content-Length: 0003 \r\n", "abc", "ok", "abc"},
                        Case{"Content-Length: -1\r\n", "abc", "bad-content-length", ""}, Case{"Content-Length:\r\n", "abc", "bad-content-length", ""},
                        Case{"Content-Length: 3x\r\n", "abc", "bad-content-length", ""},
                        Case{"Content-Length: 4294967299\r\n", "abc", "bad-content-length", ""},
                        Case{"Content-Length: 4294967295\r\n", "abc", "body-too-short", ""}}) {
    INFO(c.header);
    const Scanned s(request(c.header, c.body));
    CHECK(s.error() == c.error);
    if (!s.ok()) continue;
    CHECK(s.text(s.message.body) == c.seen);
  }
}

TEST_CASE("bounds") {
  std::string vias, lines;
  for (std::size_t i = 1; i < limits::vias; ++i) vias += "v: SIP/2.0/UDP h\r\n";
  CHECK(Scanned(request(vias)).message.vias.size() == limits::vias);
  CHECK(Scanned(request(vias + "v: SIP/2.0/UDP h\r\n")).error() == "too-many");
  for (std::size_t i = 0; i < limits::header_lines - 5; ++i) lines += "a:\r\n";
  CHECK(Scanned(request(lines)).ok());
  CHECK(Scanned(request(lines + "a:\r\n")).error() == "too-many");
  std::string contact = "m: <sip:a@b>";
  for (std::size_t i = 1; i < limits::contacts; ++i) contact += ",<sip:a@b>";
  CHECK(Scanned(request(contact + "\r\n")).ok());
  const Scanned one_more(request(contact + ",<sip:a@b>\r\n"));
  CHECK(one_more.ok());
  CHECK(one_more.message.is_unreadable(Unreadable::contact));
  CHECK(Scanned(request("", "", "INVITE sip:a@b SIP/2.0\r\nX: " + std::string(60'000, 'x'))).ok());
}

TEST_CASE("a message leaves nothing in the next") {
  Message message;
  const std::string rich = request("m: <sip:a@b;maddr=1.2.3.4>\r\nRecord-Route: <sip:r;lr>\r\nRoute: <sip:r;lr>\r\nr: <sip:x@y>\r\nc: application/sdp\r\ne: x\r\n"
                                   "Expires: 1\r\nx: 1\r\ny: i\r\nPath: <sip:p>\r\nl: 1\r\n"
                                   "Authorization: Digest qop=auth-int\r\nContent-Type: b\r\nRefer-To: <sip:2>\r\n", "ab");
  REQUIRE(scan(rich, message));
  CHECK(message.has_auth_int);
  CHECK(message.unreadable != 0);
  const std::string plain = "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h\r\nf: <sip:a@b>\r\nt: <sip:a@b>\r\ni: x\r\nCSeq: 1 BYE\r\n\r\n";
  REQUIRE(scan(plain, message));
  Message fresh;
  REQUIRE(scan(plain, fresh));
  CHECK(message.unreadable == 0);
  CHECK_FALSE(message.is_request);
  CHECK(message.contacts.empty());
  CHECK(message.record_routes.empty());
  CHECK(message.routes.empty());
  CHECK(message.paths.empty());
  CHECK_FALSE(message.refer_to.value.is_set());
  CHECK_FALSE(message.request_uri.whole.is_set());
  CHECK_FALSE(message.content_type.is_set());
  CHECK_FALSE(message.content_encoding.is_set());
  CHECK_FALSE(message.content_length.is_set());
  CHECK_FALSE(message.content_length_number);
  CHECK_FALSE(message.expires);
  CHECK_FALSE(message.session_expires);
  CHECK_FALSE(message.has_identity);
  CHECK_FALSE(message.has_auth_int);
  CHECK_FALSE(message.from.tag.is_set());
}

TEST_CASE("method names go both ways") {
  for (int i = 0; i <= static_cast<int>(Method::update); ++i) {
    const auto method = static_cast<Method>(i);
    CHECK(Scanned(request("", "", std::string(name_of(method)) + " sip:a@b SIP/2.0")).message.method == method);
  }
  CHECK(Scanned(request("", "", "invite sip:a@b SIP/2.0")).message.method == Method::other);
}

TEST_CASE("the beginning of a first line may or may not be a common one") {
  for (const char* yes : {"I", "INVITE", "INVITE sip:", "P", "REGISTER ", "SIP/", "sip/2.0 2"}) CHECK(sip::may_begin_common(yes));
  for (const char* no : {"HELLO", "invite", "INVITES", "INVITED sip:", "SIP/1", "GET /", "EHLO x"}) CHECK_FALSE(sip::may_begin_common(no));
}
