// SPDX-License-Identifier: GPL-2.0-or-later
// Where SDP stands in a body.
#include "alg/sdp/session.h"
#include "test/unit/support.h"

using namespace sipalg;
using test::request;
using test::Scanned;

namespace {

struct Found {
  Found(std::string_view headers, std::string_view body) : scanned(request(headers, body)), parts(sdp::find_parts(scanned.exact, scanned.message)) {}
  // "body|body", and a word for each flag.
  std::string all() const {
    std::string out;
    for (const auto& part : parts.sdp) out += (out.empty() ? "" : "|") + std::string(scanned.text(part.body));
    return out + (parts.opaque ? " opaque" : "") + (parts.malformed ? " malformed" : "");
  }
  Scanned scanned;
  sdp::Parts parts;
};

std::string mixed(std::string_view boundary) { return "Content-Type: multipart/mixed;boundary=" + std::string(boundary) + "\r\n"; }

constexpr const char* sdp_part = "Content-Type: application/sdp\r\n\r\nv=0\r\n";

}  // namespace

TEST_CASE("bodies that are one piece") {
  struct Case { const char *headers, *found; };
  for (const Case& c : {Case{"Content-Type: application/sdp\r\n", "v=0"}, Case{"c:Application/SDP ; charset=utf-8\r\n", "v=0"}, Case{"", ""}, Case{"c: text/plain\r\n", ""},
                        Case{"c: application/sdpx\r\n", ""}, Case{"c: application/sdp\r\ne: gzip\r\n", " opaque"}, Case{"c: application/sdp\r\ne: identity\r\n", "v=0"},
                        Case{"c: text/plain\r\ne: gzip\r\n", ""}, Case{"c: application/sdp\r\nContent-Type: text/plain\r\n", " opaque"}, Case{"c: application/pkcs7-mime; smime-type=enveloped-data\r\n", " opaque"},
                        Case{"c: application/sdp\r\nl: 0\r\n", ""}}) {
    INFO(c.headers);
    CHECK(Found(c.headers, "v=0").all() == c.found);
  }
}

TEST_CASE("multipart: the parts with SDP") {
  struct Case { std::string headers, body, found; };
  const std::string part = sdp_part;
  for (const Case& c : {
           Case{mixed("b"), "--b\r\n" + part + "\r\n--b--\r\n", "v=0\r\n"},
           Case{mixed("b"), "--b\r\n" + part + "--b--", "v=0"},
           Case{mixed("b"), "preamble\r\n--b \t\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n" + part + "\r\n--b--\r\nepilogue\r\n--b\r\n" + part, "v=0\r\n"},
           Case{mixed("\"a b:c\""), "--a b:c\r\n" + part + "\r\n--a b:c--", "v=0\r\n"},
           Case{"c: multipart/Alternative ; x=\"boundary=no\" ; Boundary = b\r\n", "--b\n" + part + "\n--b\n" + part + "\n--b--\n", "v=0\r\n|v=0\r\n"},
           Case{"c: multipart/related;boundary=b;type=\"application/sdp\"\r\n", "--b\r\n" + part + "\r\n--b--", "v=0\r\n"},
           Case{mixed("b"), "--b\r\n" + part + "--bb\r\n--b--", "v=0\r\n--bb"},
           Case{mixed("b"), "--b\r\n\r\nno type\r\n--b\r\nno blank line\r\n--b--", ""},
           Case{mixed("b"), "--b--\r\n", " malformed"},
           Case{mixed("b"), "--b\r\n" + part + "\r\n--b\r\n", " malformed"},
           Case{mixed("b"), part, " malformed"},
           Case{"c: multipart/mixed\r\n", "--b\r\n" + part + "\r\n--b--", " malformed"},
           Case{mixed(std::string(71, 'b')), "--" + std::string(71, 'b') + "\r\n" + part + "\r\n--" + std::string(71, 'b') + "--", " malformed"},
           Case{mixed(std::string(70, '\xff')), "--" + std::string(70, '\xff') + "\r\n" + part + "\r\n--" + std::string(70, '\xff') + "--", "v=0\r\n"},
           Case{"c: multipart/signed;boundary=b\r\n", "--b\r\n" + part + "\r\n--b--", " opaque"},
           Case{"c: multipart/form-data;boundary=b\r\n", "--b\r\n" + part + "\r\n--b--", " opaque"},
           Case{mixed("b") + "e: gzip\r\n", "--b\r\n" + part + "\r\n--b--", " opaque"},
           Case{mixed("b"), "--b\r\nContent-Transfer-Encoding: base64\r\n" + part + "\r\n--b--", " opaque"},
           Case{mixed("b"), "--b\r\nContent-Transfer-Encoding: 8BIT\r\n" + part + "\r\n--b--", "v=0\r\n"},
           Case{mixed("b"), "--b\r\nContent-Type:\r\n application/sdp\r\n\r\nv=0\r\n--b--", "v=0"},
           Case{mixed("b"), "--b\r\nContent-Type: multipart/alternative;boundary=c\r\n\r\n--c\r\n" + part + "\r\n--c--\r\n--b\r\n" + part + "\r\n--b--", "v=0\r\n|v=0\r\n"},
           Case{mixed("b"), "--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n" + part + "\r\n--b--", " malformed"},
       }) {
    INFO(c.headers << c.body);
    CHECK(Found(c.headers, c.body).all() == c.found);
  }
}

TEST_CASE("multipart: a part's own Content-Length") {
  const Found found(mixed("b"), std::string("--b\r\nl: 5\r\n") + sdp_part + "\r\n--b--");
  REQUIRE(found.parts.sdp.size() == 1);
  CHECK(found.scanned.text(found.parts.sdp[0].content_length) == "5");
  CHECK_FALSE(Found(mixed("b"), std::string("--b\r\n") + sdp_part + "\r\n--b--").parts.sdp[0].content_length.is_set());
}

TEST_CASE("multipart: bounds") {
  std::string body;
  for (std::size_t i = 0; i <= limits::body_parts; ++i) body += std::string("--b\r\n") + sdp_part + "\r\n";
  CHECK(Found(mixed("b"), body + "--b--").all() == " malformed");
  std::string nested = "v=0\r\n", type = "application/sdp";
  for (char c = 'a'; c < 'f'; ++c) {
    nested = std::string("--") + c + "\r\nContent-Type: " + type + "\r\n\r\n" + nested + "\r\n--" + c + "--";
    type = std::string("multipart/mixed;boundary=") + c;
    CHECK(Found("Content-Type: " + type + "\r\n", nested).parts.malformed == (c >= static_cast<char>('a' + limits::multipart_depth)));
  }
}

TEST_CASE("multipart: cut anywhere it is survived") {
  const std::string body = std::string("--b\r\nContent-Type: multipart/mixed; boundary=\"c\"\r\n\r\n--c\r\nl: 3\r\n") + sdp_part + "\r\n--c--\r\n--b\r\n" + sdp_part + "\r\n--b--\r\n";
  for (std::size_t size = 0; size <= body.size(); ++size) CHECK(Found(mixed("b"), body.substr(0, size)).scanned.ok());
  for (const char* type : {"multipart/mixed;boundary", "multipart/mixed;boundary=", "multipart/mixed;boundary=\"", "multipart/mixed;boundary=\"\"", "multipart/mixed;", "multipart/mixed;=;boundary", "multipart/"})
    CHECK(Found("Content-Type: " + std::string(type) + "\r\n", body).parts.sdp.empty());
}
