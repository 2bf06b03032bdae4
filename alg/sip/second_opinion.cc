// SPDX-License-Identifier: GPL-2.0-or-later
// The other parser: sofia-sip in its in-place mode, behind a guard. The one file that includes sofia-sip.
//
// How it works
//   The message is copied into scratch memory and parsed there; sofia-sip writes NULs behind tokens, but leaves hosts and ports
//   where they stand, so the distance of its pointers from the start is an offset to compare with ours. One bad header of no
//   interest does not spoil the others: only the lists that were asked for are looked at. What it refuses for a display name
//   (Jörg <sip:...>, without quotes) or a header parameter (;expires=) is shown to it once more with blanks in their place, where
//   nobody can take them for anything else. The guard keeps away what costs it seconds (its lists are quadratic, its comma lists
//   recurse) and what it reads otherwise than RFC 3261 (a CR alone, NULs).
//   It never reads bodies: its SDP and multipart parsers are not safe with bytes from the network.
#include "alg/sip/second_opinion.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/su.h>
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/msg_buffer.h>

namespace sipalg::sip {
namespace {

constexpr std::size_t largest_message = 65'535;

struct MessageDeleter {
  void operator()(msg_t* message) const { msg_destroy(message); }
};
using OwnedMessage = std::unique_ptr<msg_t, MessageDeleter>;

bool may_be_read(std::string_view bytes, std::string_view head) {
  if (bytes.size() > largest_message || head.size() > limits::guard_header_bytes) return false;
  const auto count = [head](char c) { return static_cast<std::size_t>(std::ranges::count(head, c)); };
  if (count('\n') > limits::guard_header_lines || count(',') > limits::guard_commas || count('\0') != 0) return false;
  for (std::size_t at = head.find('\r'); at != std::string_view::npos; at = head.find('\r', at + 1))
    if (at + 1 == head.size() || head[at + 1] != '\n') return false;
  return true;
}

// What one field came to.
enum class Finding : uint8_t { same, differs, unreadable };

// Compares what sofia-sip found in `scratch` with our spans of the same message.
class Comparison {
 public:
  Comparison(const char* scratch, std::string_view bytes) : scratch_(scratch), bytes_(bytes) {}

  bool is_same(Span ours, const char* theirs) const {
    if (theirs == nullptr || *theirs == '\0') return ours.empty();
    return theirs == scratch_ + ours.begin && ours.in(bytes_) == theirs;
  }
  Finding compare(const Uri& ours, const url_t& theirs) const {
    const bool is_sip = ours.scheme == Scheme::sip || ours.scheme == Scheme::sips;
    const bool is_theirs_sip = theirs.url_type == url_sip || theirs.url_type == url_sips;
    if (!is_sip) return is_theirs_sip ? Finding::differs : Finding::same;
    if (!is_theirs_sip) return Finding::unreadable;
    const bool is_same_place = is_same(ours.host.host, theirs.url_host) && is_same(ours.host.port, theirs.url_port);
    return is_same_place ? Finding::same : Finding::differs;
  }
  Finding compare(const NameAddr& ours, const url_t& theirs) const {
    const bool is_any = theirs.url_type == url_any;
    if (ours.is_star || is_any) return ours.is_star == is_any ? Finding::same : Finding::differs;
    const Finding finding = compare(ours.uri, theirs);
    return finding == Finding::differs && is_behind(ours.value, theirs.url_host) ? Finding::unreadable : finding;
  }
  Finding compare(const Via& ours, const sip_via_t& theirs) const {
    const char* maddr = theirs.v_maddr == nullptr ? "" : theirs.v_maddr;
    if (is_same(ours.sent_by.host, theirs.v_host) && is_same(ours.sent_by.port, theirs.v_port) &&
        ours.maddr.host.in(bytes_) == maddr)
      return Finding::same;
    return is_behind(ours.value, theirs.v_host) ? Finding::unreadable : Finding::differs;
  }

 private:
  // Whether what they read stands behind our value: then they have refused ours and show us the next.
  bool is_behind(Span value, const char* theirs) const { return theirs != nullptr && theirs >= scratch_ + value.end; }
  const char* scratch_;
  std::string_view bytes_;
};

const url_t& url_of(const sip_contact_t& value) { return value.m_url[0]; }
const url_t& url_of(const sip_route_t& value) { return value.r_url[0]; }
const url_t& url_of(const sip_addr_t& value) { return value.a_url[0]; }
const url_t& url_of(const sip_refer_to_t& value) { return value.r_url[0]; }
const sip_contact_t* next_of(const sip_contact_t& value) { return value.m_next; }
const sip_route_t* next_of(const sip_route_t& value) { return value.r_next; }

// Fewer values than ours, or the next in place of ours: sofia-sip refused one. More: the two disagree about what is there.
template <typename L, typename Theirs> Finding compare_list(const Comparison& with, const L& ours, const Theirs* theirs) {
  for (const NameAddr& one : ours) {
    if (theirs == nullptr) return Finding::unreadable;
    if (const Finding finding = with.compare(one, url_of(*theirs)); finding != Finding::same) return finding;
    theirs = next_of(*theirs);
  }
  return theirs == nullptr ? Finding::same : Finding::differs;
}

template <typename Theirs> Finding compare_single(const Comparison& with, const NameAddr& ours, const Theirs* theirs) {
  if (theirs == nullptr) return ours.value.is_set() ? Finding::unreadable : Finding::same;
  return with.compare(ours, url_of(*theirs));
}

Finding compare_request_uri(const Comparison& with, const Message& ours, const sip_t& theirs) {
  if (!ours.is_request) return Finding::same;
  if (theirs.sip_request == nullptr) return Finding::unreadable;
  return with.compare(ours.request_uri, theirs.sip_request->rq_url[0]);
}

Finding compare_via(const Comparison& with, const Message& ours, const sip_t& theirs) {
  if (theirs.sip_via == nullptr || ours.vias.empty()) return Finding::unreadable;
  return with.compare(ours.vias.front(), *theirs.sip_via);
}

Finding compare(const Comparison& with, const Message& ours, const sip_t& theirs, Compared field) {
  switch (field) {
    case Compared::request_uri: return compare_request_uri(with, ours, theirs);
    case Compared::top_via: return compare_via(with, ours, theirs);
    case Compared::contact: return compare_list(with, ours.contacts, theirs.sip_contact);
    case Compared::record_route: return compare_list(with, ours.record_routes, theirs.sip_record_route);
    case Compared::route: return compare_list(with, ours.routes, theirs.sip_route);
    case Compared::path: return compare_list(with, ours.paths, theirs.sip_path);
    case Compared::service_route: return compare_list(with, ours.service_routes, theirs.sip_service_route);
    case Compared::from: return compare_single(with, ours.from, theirs.sip_from);
    case Compared::to: return compare_single(with, ours.to, theirs.sip_to);
    case Compared::refer_to: return compare_single(with, ours.refer_to, theirs.sip_refer_to);
    case Compared::none: break;
  }
  return Finding::same;
}

// Puts blanks in the place of what is written around the endpoint of a value, unless it has a character that some parser may take for
// the begin or the end of a value, a string or a URI.
class Blanking {
 public:
  explicit Blanking(char* scratch) : scratch_(scratch) {}
  void around(const NameAddr& one) const {
    if (one.is_star || !one.value.is_set()) return;
    const uint32_t bracket = one.in_brackets ? 1 : 0;
    blank({one.value.begin, one.uri.whole.begin - bracket}, "\"<>,;\\\r\n");
    blank({one.uri.whole.end + bracket, one.value.end}, "\",\\\r\n");
  }
  void around(const Message& message) const {
    all(message.contacts), all(message.record_routes), all(message.routes), all(message.paths), all(message.service_routes);
    for (const NameAddr* one : {&message.from, &message.to, &message.refer_to}) around(*one);
    if (message.vias.empty() || message.vias.front().maddr.host.is_set()) return;
    const Via& via = message.vias.front();
    blank({via.sent_by.whole().end, via.value.end}, "\",\\\r\n");
  }

 private:
  template <typename L> void all(const L& list) const {
    for (const NameAddr& one : list) around(one);
  }
  void blank(Span span, std::string_view telling) const {
    if (span.end <= span.begin || std::string_view(scratch_ + span.begin, span.size()).find_first_of(telling) != std::string_view::npos) return;
    std::memset(scratch_ + span.begin, ' ', span.size());
  }
  char* scratch_;
};

// A field that our own scanner marked unreadable has no endpoints to agree about.
Compared unreadable_of(const Message& message, Compared fields) {
  constexpr auto shared = Compared::request_uri | Compared::contact | Compared::record_route | Compared::route |
                          Compared::path | Compared::service_route | Compared::from | Compared::to | Compared::refer_to;
  return static_cast<Compared>(message.unreadable & static_cast<uint16_t>(shared) & static_cast<uint16_t>(fields));
}
static_assert(static_cast<uint16_t>(Compared::contact) == static_cast<uint16_t>(Unreadable::contact));
static_assert(static_cast<uint16_t>(Compared::refer_to) == static_cast<uint16_t>(Unreadable::refer_to));

}  // namespace

struct SecondOpinion::Scratch {
  // One byte more than the message: msg_extract() writes a NUL behind it.
  std::array<char, largest_message + 1> bytes;
};

SecondOpinion::SecondOpinion() : scratch_(nullptr) {
  static const int initialised = su_init();
  static_cast<void>(initialised);
  scratch_ = new Scratch;
}

SecondOpinion::~SecondOpinion() { delete scratch_; }

Opinion SecondOpinion::on(std::string_view bytes, const Message& message, Compared fields) {
  Opinion opinion;
  opinion.unreadable = fields;
  if (!may_be_read(bytes, message.head.in(bytes))) return opinion;
  std::memcpy(scratch_->bytes.data(), bytes.data(), bytes.size());
  opinion = on_scratch(bytes, message, fields);
  if (opinion.unreadable == unreadable_of(message, fields)) return opinion;
  std::memcpy(scratch_->bytes.data(), bytes.data(), bytes.size());
  Blanking(scratch_->bytes.data()).around(message);
  const Opinion again = on_scratch(bytes, message, opinion.unreadable);
  return {opinion.differs | again.differs, again.unreadable};
}

Opinion SecondOpinion::on_scratch(std::string_view bytes, const Message& message, Compared fields) {
  Opinion opinion;
  opinion.unreadable = fields;
  char* scratch = scratch_->bytes.data();
  const OwnedMessage parsed(msg_create(sip_default_mclass(), 0));
  if (!parsed) return opinion;
  const auto size = static_cast<usize_t>(bytes.size());
  msg_buf_set(parsed.get(), scratch, size + 1);
  msg_buf_commit(parsed.get(), size, 1);
  if (msg_extract(parsed.get()) != 1) return opinion;
  const sip_t* theirs = sip_object(parsed.get());
  if (theirs == nullptr) return opinion;
  opinion.unreadable = unreadable_of(message, fields);
  const Comparison with(scratch, bytes);
  for (unsigned bit = 1; bit <= static_cast<unsigned>(Compared::refer_to); bit <<= 1U) {
    const auto field = static_cast<Compared>(bit);
    if (!has(fields, field) || has(opinion.unreadable, field)) continue;
    const Finding finding = compare(with, message, *theirs, field);
    if (finding == Finding::differs) opinion.differs = opinion.differs | field;
    if (finding == Finding::unreadable) opinion.unreadable = opinion.unreadable | field;
  }
  return opinion;
}

}  // namespace sipalg::sip
