// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/base/shard.h"

#include <bit>
#include <cstring>
#include <span>

namespace sipalg {
namespace {

// Jenkins' lookup3 for four bytes or sixteen.
class Jhash {
 public:
  explicit Jhash(std::span<const uint8_t> bytes) {
    a_ = b_ = c_ = 0xdeadbeef + static_cast<uint32_t>(bytes.size()) + shard_seed;
    if (bytes.size() > 12) {
      a_ += word(bytes), b_ += word(bytes.subspan(4)), c_ += word(bytes.subspan(8));
      mix();
      bytes = bytes.subspan(12);
    }
    a_ += uint32_t{bytes[0]} | uint32_t{bytes[1]} << 8 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
    finish();
  }
  uint32_t value() const { return c_; }

 private:
  static uint32_t word(std::span<const uint8_t> bytes) {  // as the machine reads it
    uint32_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  static void step(uint32_t& x, uint32_t y, uint32_t& z, int bits) { x -= z, x ^= std::rotl(z, bits), z += y; }
  void mix() {
    step(a_, b_, c_, 4), step(b_, c_, a_, 6), step(c_, a_, b_, 8);
    step(a_, b_, c_, 16), step(b_, c_, a_, 19), step(c_, a_, b_, 4);
  }
  static void last(uint32_t& x, uint32_t y, int bits) { x ^= y, x -= std::rotl(y, bits); }
  void finish() {
    last(c_, b_, 14), last(a_, c_, 11), last(b_, a_, 25), last(c_, b_, 16);
    last(a_, c_, 4), last(b_, a_, 14), last(c_, b_, 24);
  }
  uint32_t a_, b_, c_;
};

}  // namespace

uint32_t shard_of(const Address& host, uint32_t shards) {
  if (shards < 2 || !host.is_set()) return 0;
  return static_cast<uint32_t>(uint64_t{Jhash(host.bytes()).value()} * shards >> 32);
}

}  // namespace sipalg
