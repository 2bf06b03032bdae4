// SPDX-License-Identifier: GPL-2.0-or-later
// Which byte of what the sender sent belongs to which byte of what the receiver gets, and the bytes that are kept for it.
//
// How it works. Both ends count from their SYN: position 0 is the first data byte (64 bits, so nothing wraps here). The sender's
// space is "in", the receiver's "out". A block says that [a,b) in is [a',b') out; its text are the out bytes. Outside blocks
// bytes are the same and only shifted.
//
//     in    ....[a------b)..........[c------d)....
//     out   ....[a'----------b')..........[c'-d')....       a' - a: shift before, b' - b: shift behind
//
//   to_out(x): monotone. In a block: a' + (x - a), at most b'; to_out(b) = b'.
//   to_in(n): the largest x with to_out(x) <= n. So an acknowledgement of part of a block never acknowledges what the
//     receiver lacks: of a block that grew the last byte stays unacknowledged until the whole text has arrived.
//
// A block is forgotten when the receiver has acknowledged it; its difference stays in the shift before the first block. A
// position below that is one that the receiver has acknowledged, and any value at or below its place answers for it.
// A block of unedited bytes shifts nothing; it is only kept.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace sipalg {

using Position = int64_t;  // bytes behind the SYN

class SequenceMap {
 public:
  struct Block {
    Position in_begin, in_end, out_begin;
    std::string text;
    bool is_edited;
    Position out_end() const { return out_begin + static_cast<Position>(text.size()); }
  };

  Position to_out(Position in) const;
  Position to_in(Position out) const;
  Position first_in(Position out) const;  // the smallest x with to_out(x) >= out

  // At the end: in_begin is not before the last block's end. `text` must be the same bytes unless `is_edited`.
  void append(Position in_begin, Position in_end, std::string_view text, bool is_edited);
  void acknowledge(Position out);  // forgets blocks that end at or before it
  void forget(Position in_begin, Position out_end);  // those in between; precondition: is_faithful()

  // The kept bytes from `out` on, as far as they are kept without a gap, at most `most`, appended to `bytes`.
  std::size_t read(Position out, std::size_t most, std::string& bytes) const;
  bool has(Position out) const { return block_at(out) != nullptr; }
  Position next_kept(Position out) const;  // where the first block behind `out` begins; the largest number without one

  bool is_faithful() const { return shift_ == 0 && edited_ == 0; }  // no byte differs, nothing is shifted
  std::size_t kept_bytes() const { return kept_; }
  Position shift_before() const { return shift_; }
  const std::deque<Block>& blocks() const { return blocks_; }
  void set_shift(Position shift) { shift_ = shift; }  // of an empty map, when it is restored

 private:
  const Block* block_at(Position out) const;
  std::deque<Block> blocks_;  // in order, without overlap
  Position shift_ = 0;        // out - in before the first block
  std::size_t edited_ = 0;    // blocks
  std::size_t kept_ = 0;      // bytes of text
};

}  // namespace sipalg
