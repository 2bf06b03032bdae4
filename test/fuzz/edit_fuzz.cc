// SPDX-License-Identifier: GPL-2.0-or-later
// Edits at places the input chooses: what lies outside them is untouched, and a rolled back group leaves nothing.
#include "alg/base/limits.h"
#include "alg/edit/edit_list.h"
#include "test/fuzz/check.h"

using namespace sipalg;
using test::check;

namespace {

void check_outside(std::string_view message, const EditList& edits, std::string_view out) {
  std::size_t at = 0, written = 0;
  for (const Edit& edit : edits.edits()) {
    const std::size_t kept = edit.span.begin - at;
    check(message.substr(at, kept) == out.substr(written, kept));
    check(edits.text(edit) == out.substr(written + kept, edit.text_size));
    written += kept + edit.text_size;
    at = edit.span.end;
  }
  check(message.substr(at) == out.substr(written));
}

}  // namespace

// Each three bytes: where (of 256), how long, how much text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  static const std::string message(600, 'm'), text(255, 'x');
  EditList edits;
  std::string before, after;
  apply(message, edits, before);
  check(before == message);
  for (std::size_t i = 0; i + 3 <= size && i < 600; i += 3) {
    const auto mark = edits.mark();
    apply(message, edits, before);
    const std::size_t count = edits.size();
    const bool fits = edits.add({data[i], static_cast<uint32_t>(data[i] + data[i + 1] % 16)}, Field::via, std::string_view(text).substr(0, data[i + 2] % 32));
    check(edits.size() == count + (fits ? 1 : 0));
    apply(message, edits, after);
    check_outside(message, edits, after);
    check(static_cast<long>(after.size()) - static_cast<long>(message.size()) == edits.growth(0, 600));
    if ((data[i + 2] & 0x80) == 0) continue;
    edits.rollback(mark);
    apply(message, edits, after);
    check(before == after);
  }
  return 0;
}
