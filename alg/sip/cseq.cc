// SPDX-License-Identifier: GPL-2.0-or-later
// CSeq. Whether its method is the request line's is not judged here: the request line stands.
#include "alg/sip/cseq.h"

namespace sipalg::sip {

bool parse_cseq(Cursor value, Message& message) noexcept {
  const char* begin = value.at;
  while (!value.done() && is_digit(*value.at)) ++value.at;
  const auto number = parse_number(value.text_since(begin));
  if (!number || value.done() || !is_in(*value.at, blank)) return false;
  value.skip_blanks();
  begin = value.at;
  value.skip(token);
  message.cseq = *number;
  message.cseq_method = value.since(begin);
  return value.done() && value.at != begin;
}

}  // namespace sipalg::sip
