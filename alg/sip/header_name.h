// SPDX-License-Identifier: GPL-2.0-or-later
// Which header field a name means: any case, long or compact (RFC 3261 section 7.3.3 and the IANA registry).
#pragma once
#include <cstdint>
#include <string_view>

namespace sipalg::sip {

enum class Header : uint8_t {
  other, via, from, to, call_id, cseq, contact, record_route, route, path, service_route, refer_to, content_length,
  content_type, content_encoding, expires, session_expires, event, subscription_state, rseq, rack, identity, require,
  authorization,  // Proxy-Authorization and Authentication-Info too: what may sign the body
};

Header find_header(std::string_view name) noexcept;

}  // namespace sipalg::sip
