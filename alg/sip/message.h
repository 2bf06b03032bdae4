// SPDX-License-Identifier: GPL-2.0-or-later
// A SIP message as spans over the bytes it came in. Nothing is copied, nothing allocated.
//
//     INVITE sip:bob@192.0.2.4;x=y SIP/2.0
//     Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1;rport
//                      [sent_by.host][port]   [branch]
//     Contact: "Bob" <sip:bob@10.0.0.2:5060;ob>;expires=60
//                         [user][host     ][port]        [expires]
//              [value                                    ]
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "alg/base/endpoint.h"
#include "alg/base/limits.h"
#include "alg/base/make_new.h"
#include "alg/base/text.h"

namespace sipalg::sip {

enum class Method : uint8_t {
  other, invite, ack, bye, cancel, registration, options, prack, subscribe, notify, publish, info, refer, message, update,
};
std::string_view name_of(Method method);  // "INVITE"; "OTHER" for other

// host [":" port]. An IPv6 host includes its brackets.
struct HostPort {
  Span host, port;                 // port: the digits alone
  std::optional<Address> address;  // when the host is a literal; a name otherwise
  uint16_t port_number = 0;        // 0: absent
  // host through port as one piece, for replacing both
  Span whole() const { return {host.begin, port.is_set() ? port.end : host.end}; }
};

enum class Scheme : uint8_t { other, sip, sips, tel };
enum class Transport : uint8_t { none, udp, tcp, tls, other };

struct Uri {
  Span whole;  // scheme through parameters and headers
  Scheme scheme = Scheme::other;
  Span user;  // without '@'; may hold ':' password
  HostPort host;        // only for sip: and sips:
  HostPort maddr;       // ;maddr= (no port); host.is_set() tells
  Transport transport = Transport::none;
  bool has_lr = false;
};

// Via value (RFC 3261 section 20.42). Transport from the protocol part.
struct Via {
  Span value;  // without leading and trailing white space
  Transport transport = Transport::none;
  HostPort sent_by;
  HostPort maddr, received;  // received: host only
  Span branch;
  bool has_rport = false;
  Span rport;  // the digits; unset when valueless. (A valueless rport is only in has_rport.)
  uint16_t rport_number = 0;
};

// name-addr / addr-spec with header parameters: Contact, From, To, Route, Record-Route, Path, Service-Route, Refer-To.
struct NameAddr {
  Span value;
  Uri uri;
  bool is_star = false;  // Contact: *
  bool in_brackets = false;
  Span tag;                          // ;tag=
  std::optional<uint32_t> expires;   // ;expires=
};

// A header that may come several times: values in message order, over all lines and commas.
template <typename T, std::size_t Most> class List {
 public:
  bool push(const T& value) { return size_ < Most ? (items_[size_++] = value, true) : false; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](std::size_t i) const { return items_[i]; }
  const T& front() const { return items_[0]; }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + size_; }
  void clear() { size_ = 0; }
  // The next place, made empty, to be filled where it stands; null when the list is full.
  T* append() {
    if (size_ == Most) return nullptr;
    T* item = items_.data() + size_++;
    make_new(*item);
    return item;
  }
  void drop_last() { --size_; }

 private:
  std::array<T, Most> items_{};
  std::size_t size_ = 0;
};

// Header fields whose value could not be read although the message as a whole could: their rules do not apply, the rest of
// the message is as good as any. A list then holds the values before the unreadable one.
enum class Unreadable : uint16_t {
  none = 0, request_uri = 1, lower_via = 2, contact = 4, record_route = 8, route = 16, path = 32, service_route = 64,
  from = 128, to = 256, refer_to = 512, content_type = 1024,
};

struct Message {
  uint16_t unreadable = 0;  // Unreadable bits
  bool is_unreadable(Unreadable field) const { return (unreadable & static_cast<uint16_t>(field)) != 0; }
  void mark_unreadable(Unreadable field) { unreadable = static_cast<uint16_t>(unreadable | static_cast<uint16_t>(field)); }

  bool is_request = false;
  Method method = Method::other;  // of the request line; of CSeq in a response
  Span method_text;
  Uri request_uri;       // requests
  uint16_t status = 0;   // responses: 100-699
  Span first_line;       // without its line end
  Span head;             // first byte of the message (behind leading CRLFs) up to and including the blank line
  Span body;             // what Content-Length says, else the rest; may be empty
  bool is_body_elsewhere = false;   // Content-Length counts bytes that are not here: `body` is empty

  List<Via, limits::vias> vias;
  List<NameAddr, limits::contacts> contacts;
  List<NameAddr, limits::record_routes> record_routes;
  List<NameAddr, limits::routes> routes;
  List<NameAddr, limits::paths> paths;
  List<NameAddr, limits::service_routes> service_routes;
  NameAddr from, to;
  NameAddr refer_to;  // value empty: absent
  Span call_id;
  uint32_t cseq = 0;
  Span cseq_method;
  Span content_length;                       // the digits
  std::optional<uint32_t> content_length_number;
  Span content_type;      // whole value, e.g. multipart/mixed;boundary=x
  Span content_encoding;  // whole value
  std::optional<uint32_t> expires;          // Expires header, seconds
  std::optional<uint32_t> session_expires;  // Session-Expires (or x), delta seconds
  Span subscription_state;                  // whole value
  bool has_identity = false;                // Identity or its compact form y (RFC 8224)
  bool has_auth_int = false;  // Authorization / Proxy-Authorization with qop=auth-int: the body is signed (RFC 7616)
};

enum class ScanError : uint8_t {
  empty,            // nothing but CRLFs (keep-alive), NULs or white space
  not_sip,          // the first line is neither a request nor a status line of SIP/2.0
  no_blank_line,    // the head never ends
  nul_in_head,
  bare_cr,          // a CR that no LF follows, in the head (parser-facts: smuggling)
  bad_header,       // a line without a colon, or an empty name
  bad_via, bad_uri, bad_name_addr, bad_cseq, bad_content_length, bad_call_id,
  missing_header,   // Via, From, To, Call-ID or CSeq
  duplicate_header, // a second From, To, Call-ID, CSeq or Content-Length
  body_too_short,   // Content-Length is larger than what is there
  too_many,         // a bound of limits.h
};
std::string_view name_of(ScanError error);  // "bare-cr", ...

struct ScanFailure {
  ScanError error;
  uint32_t offset;  // where
};

}  // namespace sipalg::sip
