// SPDX-License-Identifier: GPL-2.0-or-later
// One pass over a SIP datagram: where the fields stand that the ALG looks at.
#pragma once
#include <expected>
#include <string_view>

#include "alg/sip/message.h"

namespace sipalg::sip {

// Fills `message` (reused between calls: it is large) with spans into `bytes`, one whole message. Linear, no allocation,
// no writes, never throws. Headers the ALG ignores are not judged beyond "name, colon, value".
// Spans are offsets into `bytes`; bytes.size() must be below 2^31.
// `bytes_behind`: bytes of the body that are not in `bytes` (a stream that is not held as a whole). Such a body is empty
// in `message`, and is_body_elsewhere tells.
std::expected<void, ScanFailure> scan(std::string_view bytes, Message& message, std::size_t bytes_behind = 0) noexcept;

// The first line and nothing else: does this look like SIP? For streams and for counting what is "not SIP".
bool begins_like_sip(std::string_view bytes) noexcept;

// The same for a stream whose first line may not be whole yet. `bytes`: behind leading line ends.
enum class Beginning : uint8_t { sip, other, unknown };
Beginning judge_beginning(std::string_view bytes) noexcept;

// Of a first line that is not whole: does it go on like one that is common, a known method or "SIP/2.0"?
bool may_begin_common(std::string_view bytes) noexcept;

}  // namespace sipalg::sip
