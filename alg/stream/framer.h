// SPDX-License-Identifier: GPL-2.0-or-later
// Where the messages of one direction of a stream begin and end, and how much of each must be held.
//
// How it works. The framer is asked again and again about the bytes that are not decided yet; it answers with the next piece:
//
//     CRLFs before and between messages          pass    at once (RFC 5626 section 4.4.1 keepalives); no first byte
//     head up to the blank line                  need_more, until it is there
//     head, with an SDP or multipart body        message, when the body is there too
//     head, with any other body or none          message; then the body: pass, as it comes
//     head and SDP larger than the bound         pass, the whole message; framing goes on behind it
//     first bytes of the stream are no SIP       not_sip
//     a head whose end is not within the bound
//     no SIP, no or an unreadable Content-Length,
//     or lines nobody can be certain of          lost: no message start behind this can be known (RFC 3261 section 18.3)
//
// Lines, header names and the first line are read by the same functions as the scanner's.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sipalg {

struct Piece {
  enum class Kind : uint8_t { need_more, pass, pass_too_big, message, not_sip, lost };
  Kind kind = Kind::need_more;
  std::size_t size = 0;          // pass, message: that many of the bytes
  std::size_t bytes_behind = 0;  // message: body bytes that stream behind it
};

class Framer {
 public:
  // `bytes`: everything that came and is not decided, at least one byte, longer than last time unless a piece was taken.
  Piece next(std::string_view bytes, std::size_t most_message_bytes);

  // The message that is not complete shall pass as it comes; its head is read all the same, to know where it ends. False: it
  // is not known whether it is a message.
  bool skip_message();

  // How many bytes more the incomplete message of `there` bytes wants at once; of a head whose end is not seen, a guess.
  std::size_t lacking(std::size_t there) const { return needed_ > there ? needed_ - there : head_guess; }

  bool has_begun() const { return has_begun_; }    // the first line was seen, and it was SIP
  bool is_skipping_head() const { return is_skipping_head_; }
  std::size_t skipped_bytes() const { return skipped_.size(); }
  bool is_between() const { return to_pass_ == 0 && !is_skipping_head_; }  // the next byte begins a message or is a CRLF before one

  // For what survives: `bytes` of a body are still to pass.
  uint64_t to_pass() const { return to_pass_; }
  bool advance(uint64_t bytes);  // of a body have passed unseen. False: not all of these can be of it
  void resume(bool has_begun, uint64_t to_pass) { has_begun_ = has_begun, to_pass_ = to_pass, searched_ = 0; }

 private:
  static constexpr std::size_t head_guess = 4096;
  Piece pass(std::size_t available);
  Piece skip_head(std::string_view bytes, std::size_t most_message_bytes);
  Piece frame_head(std::string_view bytes, std::size_t most_message_bytes);
  Piece decide_message(std::size_t head, std::size_t body, bool is_body_held, std::size_t there, std::size_t most);
  bool has_begun_ = false;
  bool is_skipping_head_ = false;
  std::string skipped_;  // of a head that passes as it comes
  uint64_t to_pass_ = 0;
  std::size_t searched_ = 0;  // no blank line begins before this byte of the head
  std::size_t needed_ = 0;    // of a message whose head is known: not complete before that many bytes
};

}  // namespace sipalg
