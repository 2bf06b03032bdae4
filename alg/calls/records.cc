// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/records.h"

#include <algorithm>
#include <cstring>

namespace sipalg {
namespace {

PackedRemoteStream::Head head_at(const char* at) {
  PackedRemoteStream::Head head;
  std::memcpy(&head, at, sizeof head);
  return head;
}

}  // namespace

std::size_t PackedRemoteStream::size_of(const RemoteStream& stream) {
  return sizeof(Head) + stream.rtp.address.bytes().size() + stream.rtcp.address.bytes().size();
}

std::size_t PackedRemoteStream::size_at(const char* at) {
  const Head head = head_at(at);
  return sizeof head + head.rtp_size + head.rtcp_size;
}

void PackedRemoteStream::write(const RemoteStream& stream, char* at) {
  const auto rtp = stream.rtp.address.bytes(), rtcp = stream.rtcp.address.bytes();
  const Head head{stream.line, stream.protocol, static_cast<uint8_t>(rtp.size()), static_cast<uint8_t>(rtcp.size()), stream.rtp.port,
                  stream.rtcp.port};
  std::memcpy(at, &head, sizeof head);
  at = std::ranges::copy(rtp, at + sizeof head).out;
  std::ranges::copy(rtcp, at);
}

RemoteStream PackedRemoteStream::read(const char* at) {
  const Head head = head_at(at);
  const auto* const rtp = reinterpret_cast<const uint8_t*>(at + sizeof head);
  return {head.line, head.protocol, {Address::from_bytes({rtp, head.rtp_size}), head.rtp_port},
          {Address::from_bytes({rtp + head.rtp_size, head.rtcp_size}), head.rtcp_port}};
}

void Transaction::recycle() {
  constexpr std::size_t items_worth_keeping = 64, bytes_worth_keeping = 4096;  // what is larger belonged to something rare
  Transaction empty;
  const auto keep = [](auto& list, auto& into) {
    if constexpr (requires { list.bytes(); }) {
      if (list.bytes() > bytes_worth_keeping) return;
    } else if (list.size() > items_worth_keeping) {
      return;
    }
    list.clear();
    into = std::move(list);
  };
  keep(givens, empty.givens);
  keep(restored, empty.restored);
  keep(doors, empty.doors);
  keep(wishes, empty.wishes);
  keep(bodies, empty.bodies);
  keep(offer.said.remote, empty.offer.said.remote);
  keep(offer.said.streams, empty.offer.said.streams);
  *this = std::move(empty);
}

Dialog* Leg::find_dialog(TagId tag) {
  const auto it = std::ranges::find(dialogs, tag, &Dialog::id);
  return it == dialogs.end() ? nullptr : &*it;
}

std::string_view Leg::tag_of(const Dialog& dialog) const {
  return texts[dialog_tags + static_cast<std::size_t>(&dialog - dialogs.begin())];
}

bool Leg::is_confirmed() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.state == Dialog::State::confirmed; });
}

bool Leg::is_subscribed() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.subscribed_until.has_value(); });
}

bool Leg::has_invite_usage() const {
  return std::ranges::any_of(dialogs, &Dialog::is_call);
}

bool Leg::is_held() const {
  return std::ranges::any_of(dialogs, [](const Dialog& d) { return d.is_call() && d.session.held; });
}

}  // namespace sipalg
