// SPDX-License-Identifier: GPL-2.0-or-later
// See saved_bytes.h.
#include "alg/base/saved_bytes.h"

#include <utility>

namespace sipalg {
namespace {

// FNV-1a: finds accidents, not attackers; who can write the store can write anything.
uint64_t checksum_over(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

void ByteWriter::number(int64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes_ += static_cast<char>(static_cast<uint64_t>(value) >> shift);
}

void ByteWriter::text(std::string_view bytes) {
  number(static_cast<int64_t>(bytes.size()));
  bytes_ += bytes;
}

std::string ByteWriter::finish() {
  number(static_cast<int64_t>(checksum_over(bytes_)));
  return std::move(bytes_);
}

ByteReader::ByteReader(std::string_view bytes) {
  failed_ = bytes.size() < 8;
  if (failed_) return;
  rest_ = bytes.substr(bytes.size() - 8);
  const auto said = static_cast<uint64_t>(number());
  rest_ = bytes.substr(0, bytes.size() - 8);
  failed_ = checksum_over(rest_) != said;
}

int64_t ByteReader::number() {
  failed_ |= rest_.size() < 8;
  if (failed_) return 0;
  uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(rest_[i]);
  rest_.remove_prefix(8);
  return static_cast<int64_t>(value);
}

std::string_view ByteReader::text() {
  const int64_t size = number();
  failed_ |= size < 0 || static_cast<uint64_t>(size) > rest_.size();
  if (failed_) return {};
  const std::string_view text = rest_.substr(0, static_cast<std::size_t>(size));
  rest_.remove_prefix(text.size());
  return text;
}

}  // namespace sipalg
