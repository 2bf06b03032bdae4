// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/media_session.h"

#include <algorithm>
#include <cstring>

namespace sipalg {

void MediaSession::set_hold(bool is_held, bool offer_holds) {
  if (bytes_.empty()) (void)grow(0);
  bytes_[0] = static_cast<char>((is_held ? held : 0) | (offer_holds ? held_offer : 0));
}

char* MediaSession::grow(std::size_t more) {
  constexpr std::size_t usual = 32;  // flags, a note and a stream of IPv4
  if (!bytes_.empty()) return bytes_.grow(more);
  bytes_.reserve(usual);
  return bytes_.grow(more + 1) + 1;  // flags begin as none
}

std::vector<StreamNote> MediaSession::notes() const {
  std::vector<StreamNote> out;
  for (const char* at = first(); at != bytes_.end(); at += size_at(at)) {
    if (*at != note_mark) continue;
    StreamNote& note = out.emplace_back();
    note.direction = static_cast<StreamNote::Direction>(at[1]);
    std::copy_n(at + 3, static_cast<uint8_t>(at[2]), note.kind.begin());
  }
  return out;
}

void MediaSession::add(const StreamNote& note) {
  const std::size_t size = ::strnlen(note.kind.data(), note.kind.size());
  char* const at = grow(3 + size);
  at[0] = note_mark;
  at[1] = static_cast<char>(note.direction);
  at[2] = static_cast<char>(size);
  std::copy_n(note.kind.begin(), size, at + 3);
}

MediaSession::RemoteHead MediaSession::head_at(const char* at) {
  RemoteHead head;
  std::memcpy(&head, at + 1, sizeof head);
  return head;
}

RemoteStream MediaSession::remote_at(const char* at) {
  const RemoteHead head = head_at(at);
  const auto* const rtp = reinterpret_cast<const uint8_t*>(at + 1 + sizeof head);
  return {head.line, head.protocol, {Address::from_bytes({rtp, head.rtp_size}), head.rtp_port},
          {Address::from_bytes({rtp + head.rtp_size, head.rtcp_size}), head.rtcp_port}};
}

void MediaSession::add(const RemoteStream& stream) {
  const auto rtp = stream.rtp.address.bytes(), rtcp = stream.rtcp.address.bytes();
  const RemoteHead head{stream.line, stream.protocol, static_cast<uint8_t>(rtp.size()), static_cast<uint8_t>(rtcp.size()),
                        stream.rtp.port, stream.rtcp.port};
  char* at = grow(1 + sizeof head + rtp.size() + rtcp.size());
  *at++ = remote_mark;
  std::memcpy(at, &head, sizeof head);
  at = std::ranges::copy(rtp, at + sizeof head).out;
  std::ranges::copy(rtcp, at);
}

std::size_t MediaSession::size_at(const char* at) {
  if (*at == note_mark) return std::size_t{3} + static_cast<uint8_t>(at[2]);
  const RemoteHead head = head_at(at);
  return 1 + sizeof head + head.rtp_size + head.rtcp_size;
}

void MediaSession::drop(char mark) {
  if (bytes_.empty()) return;
  char* to = bytes_.begin() + 1;
  for (const char* at = to; at != bytes_.end();) {
    const std::size_t size = size_at(at);
    if (*at != mark) to = static_cast<char*>(std::memmove(to, at, size)) + size;
    at += size;
  }
  bytes_.erase(to, bytes_.end());
}

}  // namespace sipalg
