// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers and texts as bytes that survive the process: version, fields, checksum.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sipalg {

// What became of a record.
struct SavedChange {
  std::string key;
  std::string bytes;  // none: it is gone
};

class ByteWriter {
 public:
  void number(int64_t value);  // 8 bytes, big endian
  void text(std::string_view bytes);
  std::string finish();  // with a checksum behind it

 private:
  std::string bytes_;
};

// Every read past the end, and every text longer than what is there, makes it fail; then all reads give nothing.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes);  // fails at once when the checksum is wrong
  int64_t number();
  std::string_view text();  // borrows from the bytes
  bool failed() const { return failed_; }
  bool done() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace sipalg
