// SPDX-License-Identifier: GPL-2.0-or-later
// Which header field a name means: any case, long or compact (RFC 3261 section 7.3.3 and the IANA registry).
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "alg/base/lower_word.h"

namespace sipalg::sip {

enum class Header : uint8_t {
  other, via, from, to, call_id, cseq, contact, record_route, route, path, service_route, refer_to, content_length,
  content_type, content_encoding, expires, session_expires, subscription_state, identity,
  authorization,  // Proxy-Authorization and Authentication-Info too: what may sign the body
};

// The only long name that can stand at a place, and the place where a name can stand. Every line of every message asks.
struct HeaderPlace {
  alignas(32) char name[20];  // lower case
  uint8_t size;  // 0: none
  Header header;
};
inline constexpr std::size_t header_place_bits = 5;
extern const std::array<HeaderPlace, 1U << header_place_bits> header_places;

// `size` is 2 at least. The factor was found by trying: no two names have one place.
constexpr std::size_t header_place_of(const char* name, std::size_t size) {
  const auto byte = [name](std::size_t at) { return static_cast<uint32_t>(static_cast<unsigned char>(name[at])); };
  const uint32_t letters = byte(0) | byte(1) << 8 | 0x2020U;
  return static_cast<uint32_t>((letters + static_cast<uint32_t>(size)) * 0xd00a6c67U) >> (32 - header_place_bits);
}

Header compact_header(char letter) noexcept;

// equals_lower() may take a CR for a '-', but no CR can stand in the name of a header line.
inline Header find_header(std::string_view name) noexcept {
  if (name.size() < 2) return name.empty() ? Header::other : compact_header(name[0]);
  const HeaderPlace& place = header_places.data()[header_place_of(name.data(), name.size())];
  return place.size == name.size() && equals_lower(name.data(), place.name, name.size()) ? place.header : Header::other;
}

}  // namespace sipalg::sip
