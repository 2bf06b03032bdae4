// SPDX-License-Identifier: GPL-2.0-or-later
// CSeq. Whether its method is the request line's is not judged here: the request line stands.
#include "alg/sip/cseq.h"

#include "alg/sip/small_values.h"

namespace sipalg::sip {

bool parse_cseq(Cursor& value, Message& message) noexcept {
  const auto number = take_number(value);
  if (!number || value.done() || !is_in(*value.at, blank)) return false;
  value.skip_blanks();
  const char* begin = value.at;
  value.skip(token);
  message.cseq = *number;
  message.cseq_method = value.since(begin);
  return value.done() && value.at != begin;
}

}  // namespace sipalg::sip
