// SPDX-License-Identifier: GPL-2.0-or-later
// What our scanner accepts and the guard lets through must not hurt the other parser.
#include "alg/sip/scanner.h"
#include "alg/sip/second_opinion.h"
#include "test/fuzz/check.h"

using namespace sipalg::sip;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  static Message message;
  static SecondOpinion second;
  const std::string_view bytes = sipalg::test::view_of(data, size);
  if (!scan(bytes, message)) return 0;
  const Opinion opinion = second.on(bytes, message, static_cast<Compared>(1023));
  sipalg::test::check((static_cast<unsigned>(opinion.differs) & static_cast<unsigned>(opinion.unreadable)) == 0);
  return 0;
}
