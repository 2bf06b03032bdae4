// SPDX-License-Identifier: GPL-2.0-or-later
// ( name-addr / addr-spec ) *( SEMI generic-param ): Contact, From, To, Route and their kin (RFC 3261 section 20.10).
#pragma once
#include "alg/sip/cursor.h"
#include "alg/sip/message.h"

namespace sipalg::sip {

enum class NameAddrResult : uint8_t {
  readable,
  unreadable_uri,  // the value's borders and parameters are known, its URI is not
  broken,          // where the value ends is not known
};

// One value; afterwards the cursor stands at the comma or at the end ("broken": where it gave up). `is_only`: the header has one
// alone, and a comma or "@" before its "<" is of the display name.
NameAddrResult parse_name_addr(Cursor& cursor, NameAddr& out, bool is_only = false) noexcept;

}  // namespace sipalg::sip
