// SPDX-License-Identifier: GPL-2.0-or-later
// The SIP scanner: every span lies in the head, twice gives the same.
#include "alg/sip/scanner.h"
#include "test/fuzz/check.h"

using namespace sipalg;
using namespace sipalg::sip;
using test::check;
using test::check_inside;

namespace {

void check_host(const HostPort& host, Span head) {
  check_inside(host.host, head);
  check_inside(host.port, head);
  if (host.port.is_set()) check(host.port.begin > host.host.end);
}

void check_value(const NameAddr& one, Span head) {
  check_inside(one.value, head);
  check_inside(one.tag, one.value);
  check_inside(one.uri.whole, one.value);
  check_inside(one.uri.user, one.uri.whole);
  check_host(one.uri.host, one.uri.whole);
  check_inside(one.uri.maddr.host, one.uri.whole);
}

template <typename L> void check_list(const L& list, Span head) {
  uint32_t behind = head.begin;
  for (const auto& one : list) {
    check(one.value.begin >= behind && !one.value.empty());
    behind = one.value.end;
  }
  check_inside({head.begin, behind}, head);
}

void check_message(const Message& m, std::size_t size) {
  const Span head = m.head;
  check(head.end == m.body.begin && m.body.end <= size && m.head.begin < m.head.end);
  check_list(m.vias, head);
  check_list(m.contacts, head), check_list(m.routes, head), check_list(m.record_routes, head);
  check_list(m.paths, head), check_list(m.service_routes, head);
  for (const Via& via : m.vias) {
    check_host(via.sent_by, via.value);
    for (Span span : {via.branch, via.rport, via.received.host, via.maddr.host}) check_inside(span, via.value);
  }
  for (const NameAddr& one : m.contacts) check_value(one, head);
  for (const NameAddr& one : m.routes) check_value(one, head);
  check_value(m.from, head), check_value(m.to, head);
  for (Span span : {m.call_id, m.cseq_method, m.content_length, m.content_type, m.first_line}) check_inside(span, head);
  check(!m.call_id.empty() && !m.vias.empty() && m.from.value.is_set() && m.to.value.is_set());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  static Message once, twice;
  const std::string_view bytes = test::view_of(data, size);
  const auto first = scan(bytes, once), second = scan(bytes, twice);
  check(first.has_value() == second.has_value());
  static_cast<void>(begins_like_sip(bytes));
  if (!first) {
    check(first.error().offset <= size && first.error().error == second.error().error);
    return 0;
  }
  check(begins_like_sip(bytes));
  check_message(once, size);
  return 0;
}
