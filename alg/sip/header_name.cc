// SPDX-License-Identifier: GPL-2.0-or-later
// The header names there are.
#include "alg/sip/header_name.h"

namespace sipalg::sip {
namespace {

struct Named {
  std::string_view name;  // lower case
  Header header;
};

constexpr std::array names{
    Named{"to", Header::to}, Named{"via", Header::via}, Named{"from", Header::from}, Named{"cseq", Header::cseq},
    Named{"path", Header::path}, Named{"route", Header::route},
    Named{"call-id", Header::call_id}, Named{"contact", Header::contact}, Named{"expires", Header::expires},
    Named{"refer-to", Header::refer_to}, Named{"identity", Header::identity},
    Named{"record-route", Header::record_route}, Named{"content-type", Header::content_type},
    Named{"service-route", Header::service_route}, Named{"authorization", Header::authorization},
    Named{"content-length", Header::content_length},
    Named{"session-expires", Header::session_expires},
    Named{"content-encoding", Header::content_encoding},
    Named{"subscription-state", Header::subscription_state},
    Named{"proxy-authorization", Header::authorization}, Named{"authentication-info", Header::authorization},
};

constexpr auto compact = [] {
  std::array<Header, 26> letters{};
  const auto set = [&letters](char letter, Header header) { letters[static_cast<std::size_t>(letter - 'a')] = header; };
  set('v', Header::via), set('f', Header::from), set('t', Header::to), set('m', Header::contact), set('i', Header::call_id);
  set('l', Header::content_length), set('c', Header::content_type), set('e', Header::content_encoding);
  set('r', Header::refer_to), set('x', Header::session_expires), set('y', Header::identity);
  return letters;
}();

}  // namespace

constexpr std::array<HeaderPlace, 1U << header_place_bits> header_places = [] {
  std::array<HeaderPlace, 1U << header_place_bits> places{};
  for (const Named& named : names) {
    HeaderPlace& place = places[header_place_of(named.name.data(), named.name.size())];
    if (place.size != 0) throw "two names have one place";
    place.size = static_cast<uint8_t>(named.name.size());
    place.header = named.header;
    named.name.copy(place.name, sizeof place.name);
  }
  return places;
}();

Header compact_header(char letter) noexcept {
  const auto place = static_cast<std::size_t>((static_cast<unsigned char>(letter) | 0x20) - 'a');
  return place < compact.size() ? compact[place] : Header::other;
}

}  // namespace sipalg::sip
