// SPDX-License-Identifier: GPL-2.0-or-later
// Method names as written in messages.
#pragma once
#include <string_view>

#include "alg/sip/message.h"

namespace sipalg::sip {

Method method_of(std::string_view text) noexcept;  // other, when the ALG has no rule for it

}  // namespace sipalg::sip
