// SPDX-License-Identifier: GPL-2.0-or-later
// What an offer and its answer say of the media: where the other side listens, and what people want to see.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "alg/base/compact_list.h"
#include "alg/base/endpoint.h"

namespace sipalg {

struct RemoteStream {
  uint8_t line = 0;
  Protocol protocol = Protocol::udp;
  Endpoint rtp;   // not set: off, held by 0.0.0.0, a name
  Endpoint rtcp;  // not set: none
};

struct StreamNote {  // for `show call`
  enum class Direction : uint8_t { sendrecv, sendonly, recvonly, inactive, off };
  std::array<char, 12> kind{};  // "audio", cut where it is longer, NULs behind it
  Direction direction = Direction::off;
};

// Kept as long as the call and seldom read: in eight bytes, and one piece of memory without padding.
//   one byte of flags, then items in any order: a mark and a note (direction, size of kind, kind), or a mark and a remote stream
class MediaSession {
 public:
  bool is_held() const { return has(held); }           // the last offer or its answer was a hold
  bool offer_holds() const { return has(held_offer); }  // the last offer was
  void set_hold(bool is_held, bool offer_holds);

  std::vector<StreamNote> notes() const;
  void add(const StreamNote& note);
  void clear_notes() { drop(note_mark); }

  template <typename F> void for_each_remote(F&& f) const {
    for (const char* at = first(); at != bytes_.end(); at += size_at(at))
      if (*at == remote_mark) f(remote_at(at));
  }
  void add(const RemoteStream& stream);
  void clear_remote() { drop(remote_mark); }

  std::size_t bytes() const { return bytes_.size(); }
  void clear() { bytes_.clear(); }  // keeps its memory
  void prefetch() const { bytes_.prefetch(); }

 private:
  static constexpr char held = 1, held_offer = 2;
  static constexpr char note_mark = 'n', remote_mark = 'r';
  struct RemoteHead {  // the bytes of both addresses follow
    uint8_t line;
    Protocol protocol;
    uint8_t rtp_size, rtcp_size;
    uint16_t rtp_port, rtcp_port;
  };
  bool has(char flag) const { return !bytes_.empty() && (bytes_[0] & flag) != 0; }
  const char* first() const { return bytes_.empty() ? bytes_.end() : bytes_.begin() + 1; }
  static RemoteHead head_at(const char* at);
  static RemoteStream remote_at(const char* at);
  static std::size_t size_at(const char* at);
  char* grow(std::size_t more);  // a piece behind the items
  void drop(char mark);
  CompactList<char> bytes_;
};

}  // namespace sipalg
