// SPDX-License-Identifier: GPL-2.0-or-later
// What the unit tests of SIP and SDP share.
#pragma once
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "alg/sip/scanner.h"
#include "test/corpus/corpus.h"

namespace sipalg::test {

// A request with one Via, From, To, Call-ID and CSeq, and `more` header lines (each with its line end) behind them.
inline std::string request(std::string_view more = "", std::string_view body = "", std::string_view first = "INVITE sip:bob@192.0.2.4 SIP/2.0") {
  return std::string(first) +
         "\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1\r\n"
         "From: <sip:alice@10.0.0.2>;tag=a\r\nTo: <sip:bob@192.0.2.4>\r\nCall-ID: c1@10.0.0.2\r\nCSeq: 1 INVITE\r\n" +
         std::string(more) + "\r\n" + std::string(body);
}

// A scanned message with the bytes it borrows from.
struct Scanned {
  explicit Scanned(std::string_view text) : exact(text), result(sip::scan(exact, message)) {}
  std::string_view text(Span span) const { return span.in(exact); }
  bool ok() const { return result.has_value(); }
  std::string_view error() const { return ok() ? "ok" : sip::name_of(result.error().error); }

  Exact exact;
  sip::Message message;
  std::expected<void, sip::ScanFailure> result;
};

}  // namespace sipalg::test
