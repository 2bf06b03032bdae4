// SPDX-License-Identifier: GPL-2.0-or-later
// What the call database remembers: transactions, legs with their dialogs, registrations (sip-rules sections 3, 4, 6).
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "alg/base/chain_index.h"
#include "alg/base/compact_list.h"
#include "alg/base/few_numbers.h"
#include "alg/base/instant.h"
#include "alg/base/packed_texts.h"
#include "alg/base/rare.h"
#include "alg/base/text_hash.h"
#include "alg/calls/givens.h"
#include "alg/calls/media_session.h"
#include "alg/doors/doors.h"
#include "alg/edit/edit_list.h"
#include "alg/sip/message.h"
#include "conntrack/flow.h"

namespace sipalg {

using TransactionId = uint64_t;
using LegId = uint64_t;
using RegistrationId = uint64_t;

// Stands for the tag of a party; 0: no tag. Tells apart the parties of one call, and nobody can choose tags that meet.
using TagId = uint32_t;

// Stands for what tells one transaction from all others (RFC 3261 section 17.2.3): Call-ID, number in CSeq, branch of the top Via,
// without the magic cookie the From tag and sent-by too; direction and inside host.
using TransactionKey = WideHash;

// A Contact of a REGISTER that waits for its 2xx.
struct RegistrationWish {
  std::string aor;
  std::string user;   // of the Contact; "Path" for the Path of an inside proxy
  bool is_path = false;
  sip::Transport transport = sip::Transport::none;  // of the Contact: it tells bindings apart (RFC 3261 section 19.1.4)
  Endpoint inside;
  Endpoint given;
  std::string before;
  FewNumbers doors;  // DoorIds
  std::optional<uint32_t> asked;  // seconds
};

// The ports of a flow's ends: of the inside end as it is and as it is seen outside, and of the remote.
struct FlowPorts {
  uint16_t inside = 0, outside = 0, remote = 0;
  friend bool operator==(const FlowPorts&, const FlowPorts&) = default;
};

// Steering asks for the inside's and the remote's port, and for the outside one where the remote began the flow, which
// records do not know. Does it bring packets of this flow by `port` and by none of `in_service` (sorted)?
bool needed(const FlowPorts& flow, uint16_t port, std::span<const uint16_t> in_service);
template <typename Record> FlowPorts ports_of(const Record& record) {
  return {record.source.inside.port, record.source.outside.port, record.remote.port};
}

// An SDP that waits for its answer. The session of its dialog stays as it is until then (RFC 3264 section 8).
struct Offer {
  uint32_t sdp = 0;  // Leg::sequence of it, and when it is answered of the answer; 0: none
  bool by_inside = false;
  bool answered_early = false;  // of a re-INVITE, by a 1xx: what both say is in `said`, and stands with the 2xx
  bool is_muxed = false;  // then, as Dialog::muxed
  MediaSession said;
  void begin(uint32_t number, bool inside) {
    sdp = number;
    by_inside = inside;
    answered_early = is_muxed = false;
    said.clear();
  }
};

struct Transaction {
  TransactionKey key;
  uint32_t next_by_key = 0;  // ChainIndex
  uint32_t cseq = 0;
  bool outgoing = false;  // the request leaves the inside
  sip::Method method = sip::Method::other;
  Protocol protocol = Protocol::udp;
  FlowEnd source;      // the inside end of the flow the request took
  Endpoint remote;     // the other end
  LegId leg = 0;
  TagId dialog = 0;    // tag of the party that did not begin the leg; 0 outside a dialog
  Givens givens;
  RestoredUris restored;  // of a request in; empty: it was left as it came, and so are its copies
  FewNumbers doors;  // DoorIds: mostly that of its Via
  CompactList<RegistrationWish> wishes;
  bool removes_all = false;         // REGISTER with Contact: *
  bool header_failed = false;       // first message decided: untouched. So are all of it.
  bool body_failed = false;
  bool response_header_failed = false;
  bool response_body_failed = false;
  bool wrote_outside_itself = false;  // its Via held the outside address already
  bool request_had_sdp = false;
  bool is_prack_answer = false;       // PRACK: its SDP answers the offer of a reliable 1xx
  CompactList<std::size_t> bodies;    // that were handled: a copy of one changes nothing (Exchange::body_mark)
  Offer offer;                        // in its request; the dialogs that an INVITE begins begin with it
  bool cleared = false;               // with its call, by hand: it gives its responses their texts back, and opens nothing
  uint8_t routes_came = 0;  // with a request in: a response carries them behind those of our side
  uint16_t last_status = 0;
  std::optional<uint32_t> expires_header;  // INVITE: seconds
  Instant ends{};
  bool is_final() const { return last_status >= 200; }
  void recycle();  // as one made new, in the memory it has
  void prefetch_lists() const;
};

// One use of a media door or a way out by a leg.
struct MediaUse {
  DoorId door = 0;
  TagId dialog = 0;    // the other party's; 0: the offer of the first INVITE, common to all forks
  uint32_t sdp = 0;    // Leg::sequence of the SDP that asked for it
  uint8_t line = 0;
  bool is_rtcp : 1 = false;
  bool is_way_out : 1 = false;
  bool waits : 1 = false;  // that is an offer without an answer, which holds the door besides what stands
  MaybeInstant ends;   // replaced or refused: closes then
};
static_assert(sizeof(MediaUse) == 24);  // most calls have four

// An INVITE that passed unchanged and got a 2xx: the ACK to that, a transaction of its own (RFC 3261 section 17), does too.
struct UntouchedInvite {
  uint32_t cseq = 0;
  bool outgoing = false;
  friend bool operator==(const UntouchedInvite&, const UntouchedInvite&) = default;
};

struct Dialog {
  enum class State : uint8_t { early, confirmed, ended };
  TagId id = 0;    // of the tag of the party that did not begin the leg
  uint32_t stands = 0;  // the number of the last answer, and of the uses that it and its offer asked for
  State state = State::early;
  bool invite_usage : 1 = false;
  bool hung_up : 1 = false;  // by BYE: a 2xx to INVITE that is repeated brings nothing back
  bool muxed : 1 = false;    // it accepted a=rtcp-mux
  bool has_sdp : 1 = false;  // a message of its own carried one
  bool untouched : 1 = false;  // the request that began it left as it came: From and To stay as the other side knows them
  MaybeInstant subscribed_until;
  TransactionId attempt = 0;  // the INVITE whose response began it
  MediaSession session;       // what the last offer that was answered and its answer say
  TransactionId answered_invite = 0;  // the last INVITE whose offer was answered
  struct Exceptions {
    TransactionId late_invite = 0;  // the last INVITE without SDP, whose response offered
    Offer late_offer;               // of that response
    bool late_answered = false;     // PRACK or ACK has answered it
    CompactList<UntouchedInvite> untouched_invites;  // the last ones
  };
  Rare<Exceptions> exceptions;
  bool is_call() const { return state == State::confirmed && invite_usage; }
};

// An SDP in an ACK, which has no transaction.
struct AckBody {
  std::size_t mark = 0;  // as Transaction::bodies
  bool failed = false;
};

// What all calls of a trunk have in common.
struct LegPath {
  Address inside_host;
  // of the flow that began it: ends and protocol
  Protocol protocol = Protocol::udp;
  FlowPorts ports;
  uint16_t zone = 0;
  CompactList<Endpoint> peers;  // where the other side wants its requests: Contact, nearest Record-Route
  CompactList<DoorId> doors;    // signalling doors and ways out: each leg owns them for itself
  friend bool operator==(const LegPath& a, const LegPath& b) {
    return a.inside_host == b.inside_host && a.protocol == b.protocol && a.ports == b.ports && a.zone == b.zone &&
           std::ranges::equal(a.peers, b.peers) && std::ranges::equal(a.doors, b.doors);
  }
};

// What one inside host has of a call: Call-ID, inside host, the beginner's tag, who began.
struct Leg {
  enum Text : std::size_t { call_id, beginner_tag, from, to, dialog_tags };  // from, to: URIs, for people; the tag of each dialog
  PackedTexts texts;
  uint64_t call = 0;             // CallDatabase::CallKey
  uint32_t next_by_call_id = 0;  // ChainIndex
  TagId beginner = 0;  // of the beginner's tag
  uint32_t sequence = 0;  // counts SDPs
  uint32_t path = 0;      // CallDatabase::path_of
  using Seconds = std::chrono::duration<uint32_t>;
  static constexpr Seconds no_interval = Seconds::max();
  Seconds session_interval = no_interval;  // Session-Expires of the last 2xx

  bool outgoing : 1 = false;  // the inside host began it
  bool learnt : 1 = false;    // first seen in its middle: From and To stay as they are
  bool routed : 1 = false;    // its inside host put itself into Record-Route: it may name whom it routes for
  bool is_call : 1 = false;   // an INVITE is its matter; else it is a subscription, or a REFER outside of a call
  bool is_counted = false;  // as a call that began, and not yet as one that ended
  MaybeInstant ends;        // ending: media is closed, the rest goes then
  ShortInstant begun, last_message;

  Givens givens;
  CompactList<MediaUse> media;
  CompactList<Dialog> dialogs;
  FewNumbers invites;         // TransactionIds: attempts without a final response
  Instant scheduled = Instant::max();  // of its one timer entry that counts
  struct Exceptions {
    CompactList<AckBody> ack_bodies;   // the last ones
    Instant recheck{};                 // not before: asking the kernel for living media
  };
  Rare<Exceptions> exceptions;

  Dialog* find_dialog(TagId tag);
  std::string_view tag_of(const Dialog& dialog) const;  // one of `dialogs`
  bool is_confirmed() const;           // some dialog is
  bool has_invite_usage() const;
  bool is_subscribed() const;
  bool is_held() const;                // a call in it is
};

struct Registration {
  std::string aor, user;  // user part of the Contact
  sip::Transport transport = sip::Transport::none;
  Endpoint inside, outside;
  Address registrar;
  Protocol protocol = Protocol::udp;
  FlowEnd source;   // of the flow its REGISTER took
  Endpoint remote;
  std::string contact_text;
  Givens givens;  // Contact, Path, Service-Route
  FewNumbers doors;  // DoorIds
  bool is_noted = false;      // among what changed (RegistrationTable)
  Instant ends{};             // 64*T1 after what was granted
  Instant scheduled = Instant::max();  // of its one timer entry that counts
};

}  // namespace sipalg
