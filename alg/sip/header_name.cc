// SPDX-License-Identifier: GPL-2.0-or-later
// Header names, ordered by length so that few are compared.
#include "alg/sip/header_name.h"

#include <algorithm>
#include <array>

#include "alg/base/text.h"

namespace sipalg::sip {
namespace {

struct Named {
  std::string_view name;  // lower case
  Header header;
};

constexpr std::array names{
    Named{"v", Header::via}, Named{"f", Header::from}, Named{"t", Header::to}, Named{"m", Header::contact},
    Named{"i", Header::call_id}, Named{"l", Header::content_length}, Named{"c", Header::content_type},
    Named{"e", Header::content_encoding}, Named{"o", Header::event}, Named{"r", Header::refer_to},
    Named{"x", Header::session_expires}, Named{"y", Header::identity},
    Named{"to", Header::to},
    Named{"via", Header::via},
    Named{"from", Header::from}, Named{"cseq", Header::cseq}, Named{"path", Header::path},
    Named{"rseq", Header::rseq}, Named{"rack", Header::rack},
    Named{"route", Header::route}, Named{"event", Header::event},
    Named{"call-id", Header::call_id}, Named{"contact", Header::contact}, Named{"expires", Header::expires},
    Named{"require", Header::require},
    Named{"refer-to", Header::refer_to}, Named{"identity", Header::identity},
    Named{"record-route", Header::record_route}, Named{"content-type", Header::content_type},
    Named{"service-route", Header::service_route}, Named{"authorization", Header::authorization},
    Named{"content-length", Header::content_length},
    Named{"session-expires", Header::session_expires},
    Named{"content-encoding", Header::content_encoding},
    Named{"subscription-state", Header::subscription_state},
    Named{"proxy-authorization", Header::authorization}, Named{"authentication-info", Header::authorization},
};
static_assert(std::ranges::is_sorted(names, {}, [](const Named& n) { return n.name.size(); }));

constexpr std::size_t longest = names.back().name.size();

// first_of[n]: the first name with at least n letters.
constexpr auto first_of = [] {
  std::array<uint8_t, longest + 2> first{};
  for (std::size_t length = 0; length < first.size(); ++length)
    while (first[length] < names.size() && names[first[length]].name.size() < length) ++first[length];
  return first;
}();

// `lower` is a header name. Setting the bit that lower case letters have maps only letters to letters; what else it maps to '-',
// a CR, can not stand in the name of a header line.
bool equals_lower(const char* text, std::string_view lower) noexcept {
  for (const char c : lower)
    if ((*text++ | 0x20) != c) return false;
  return true;
}

}  // namespace

Header find_header(std::string_view name) noexcept {
  if (name.empty() || name.size() > longest) return Header::other;
  for (std::size_t i = first_of[name.size()]; i < first_of[name.size() + 1]; ++i)
    if (equals_lower(name.data(), names[i].name)) return names[i].header;
  return Header::other;
}

}  // namespace sipalg::sip
