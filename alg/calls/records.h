// SPDX-License-Identifier: GPL-2.0-or-later
// What the call database remembers: transactions, legs with their dialogs, registrations (sip-rules sections 3, 4, 6).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "alg/base/instant.h"
#include "alg/doors/door_table.h"
#include "alg/edit/edit_list.h"
#include "alg/sip/message.h"
#include "conntrack/flow.h"

namespace sipalg {

// One field that was mapped: what the other side was given, and the bytes the inside had written. A field that comes back
// with the given endpoint gets these bytes.
struct Given {
  Field field;
  Endpoint given;      // From: port 0, the host alone; a name whose port was edited: no address
  std::string before;  // host[":"port] as the inside wrote it
  std::string user;    // of the URI: tells two accounts on one endpoint apart
  friend bool operator==(const Given&, const Given&) = default;
};
// What one message gave takes the place of what an older one did for the same fields, endpoints and users. Two texts of one
// endpoint in one message stay two.
void remember(std::vector<Given>& list, const std::vector<Given>& message);
// The `nth` (from 0) of the texts that fit: field, endpoint and, when it has one, the user; else any user's.
const Given* find_given(const std::vector<Given>& list, Field field, const Endpoint& endpoint, std::string_view user = {},
                        std::size_t nth = 0);

// A URI of a request that came in, and what became of it: its repetitions, CANCEL and the ACK of a refusal get the same,
// whatever has been learnt since (RFC 3261 sections 9.1 and 17.1.1.3: their Request-URI and Route are the INVITE's).
struct RestoredUri {
  Field field;  // Request-URI or Route
  std::string came, left;
};

using TransactionId = uint64_t;
using LegId = uint64_t;
using RegistrationId = uint64_t;

struct TransactionKey {
  std::string call_id, branch;
  std::string without_cookie;  // From tag and sent-by, for branches without the magic cookie (RFC 3261 section 17.2.3)
  uint32_t cseq = 0;
  bool outgoing = false;       // the request leaves the inside
  Address inside_host;
  friend bool operator==(const TransactionKey&, const TransactionKey&) = default;
};

// A Contact of a REGISTER that waits for its 2xx.
struct RegistrationWish {
  std::string aor;
  std::string user;   // of the Contact; "Path" for the Path of an inside proxy
  bool is_path = false;
  Endpoint inside;
  Endpoint given;
  std::string before;
  std::vector<DoorId> doors;
  std::optional<uint32_t> asked;  // seconds
};

struct RemoteStream {
  uint8_t line = 0;
  Protocol protocol = Protocol::udp;
  Endpoint rtp;   // not set: off, held by 0.0.0.0, a name
  Endpoint rtcp;  // not set: none
};

struct StreamNote {  // for `show call`
  std::string kind, direction;
};

// What an offer and its answer say.
struct MediaSession {
  std::vector<RemoteStream> remote;
  std::vector<StreamNote> streams;
  bool held = false;         // the last offer or its answer was a hold
  bool offer_holds = false;  // the last offer was
};

// An SDP that waits for its answer. The session of its dialog stays as it is until then (RFC 3264 section 8).
struct Offer {
  uint32_t sdp = 0;  // Leg::sequence of it, and when it is answered of the answer; 0: none
  bool by_inside = false;
  bool answered_early = false;  // of a re-INVITE, by a 1xx: what both say is in `said`, and stands with the 2xx
  MediaSession said;
};

struct Transaction {
  TransactionKey key;
  sip::Method method = sip::Method::other;
  Protocol protocol = Protocol::udp;
  FlowEnd source;      // the inside end of the flow the request took
  Endpoint remote;     // the other end
  LegId leg = 0;
  std::string dialog;  // tag of the party that did not begin the leg; empty outside a dialog
  std::vector<Given> givens;
  std::vector<RestoredUri> restored;  // of a request in; empty: it was left as it came, and so are its copies
  std::vector<DoorId> doors;
  std::vector<RegistrationWish> wishes;
  bool removes_all = false;         // REGISTER with Contact: *
  bool header_failed = false;       // first message decided: untouched. So are all of it.
  bool body_failed = false;
  bool response_header_failed = false;
  bool response_body_failed = false;
  bool wrote_outside_itself = false;  // its Via held the outside address already
  bool request_had_sdp = false;
  bool is_prack_answer = false;       // PRACK: its SDP answers the offer of a reliable 1xx
  std::vector<std::size_t> bodies;    // that were handled: a copy of one changes nothing (Exchange::body_mark)
  Offer offer;                        // in its request; the dialogs that an INVITE begins begin with it
  bool cleared = false;               // with its call, by hand: it gives its responses their texts back, and opens nothing
  uint16_t last_status = 0;
  std::optional<uint32_t> expires_header;  // INVITE: seconds
  Instant ends{};
  bool is_final() const { return last_status >= 200; }
};

// One use of a media door or a way out by a leg.
struct MediaUse {
  DoorId door = 0;
  uint8_t line = 0;
  bool is_rtcp = false;
  bool is_way_out = false;
  std::string dialog;      // the other party's tag; empty: the offer of the first INVITE, common to all forks
  uint32_t sdp = 0;        // Leg::sequence of the SDP that asked for it
  bool waits = false;      // that is an offer without an answer, which holds the door besides what stands
  std::optional<Instant> ends;  // replaced or refused: closes then
};

// An INVITE that passed unchanged and got a 2xx: the ACK to that, a transaction of its own (RFC 3261 section 17), does too.
struct UntouchedInvite {
  uint32_t cseq = 0;
  bool outgoing = false;
  friend bool operator==(const UntouchedInvite&, const UntouchedInvite&) = default;
};

struct Dialog {
  enum class State : uint8_t { early, confirmed, ended };
  std::string tag;  // of the party that did not begin the leg
  State state = State::early;
  bool invite_usage = false;
  bool hung_up = false;  // by BYE: a 2xx to INVITE that is repeated brings nothing back
  std::optional<Instant> subscribed_until;
  TransactionId attempt = 0;  // the INVITE whose response began it
  MediaSession session;       // what the last offer that was answered and its answer say
  uint32_t stands = 0;        // the number of that answer, and of the uses that both asked for
  bool muxed = false;         // it accepted a=rtcp-mux
  TransactionId answered_invite = 0;  // the last INVITE whose offer was answered
  Offer late_offer;           // in a response to an INVITE without SDP: PRACK or ACK answers
  TransactionId late_invite = 0;      // that INVITE
  bool late_answered = false;
  bool has_sdp = false;  // a message of its own carried one
  bool untouched = false;  // the request that began it left as it came: From and To stay as the other side knows them
  std::vector<UntouchedInvite> untouched_invites;  // the last ones
  bool is_call() const { return state == State::confirmed && invite_usage; }
};

// An SDP in an ACK, which has no transaction.
struct AckBody {
  std::size_t mark = 0;  // as Transaction::bodies
  bool failed = false;
};

// What one inside host has of a call: Call-ID, inside host, the beginner's tag, who began.
struct Leg {
  std::string call_id;
  Address inside_host;
  std::string beginner_tag;
  bool outgoing = false;  // the inside host began it
  bool learnt = false;    // first seen in its middle: From and To stay as they are
  bool routed = false;    // its inside host put itself into Record-Route: it may name whom it routes for
  bool is_call = false;   // an INVITE is its matter; else it is a subscription, or a REFER outside of a call
  bool is_counted = false;  // as a call that began, and not yet as one that ended

  std::string from, to;   // URIs, for people
  Protocol protocol = Protocol::udp;
  FlowEnd source;
  Endpoint remote;
  uint16_t zone = 0;

  std::vector<Given> givens;
  std::vector<DoorId> doors;  // signalling doors and ways out
  std::vector<MediaUse> media;
  std::vector<Dialog> dialogs;
  uint32_t sequence = 0;      // counts SDPs
  std::vector<AckBody> ack_bodies;  // the last ones

  std::vector<TransactionId> invites;  // attempts without a final response
  Instant begun{}, last_message{};
  std::optional<Instant> ends;         // ending: media is closed, the rest goes then
  std::optional<std::chrono::milliseconds> session_interval;  // Session-Expires of the last 2xx
  Instant recheck{};                   // not before: asking the kernel for living media
  Instant scheduled = Instant::max();  // of its one timer entry that counts
  std::vector<Endpoint> peers;         // where the other side wants its requests: Contact, nearest Record-Route

  Dialog* find_dialog(std::string_view tag);
  bool is_confirmed() const;           // some dialog is
  bool has_invite_usage() const;
  bool is_subscribed() const;
  bool is_held() const;                // a call in it is
};

struct Registration {
  std::string aor, user;  // user part of the Contact
  Endpoint inside, outside;
  Address registrar;
  Protocol protocol = Protocol::udp;
  FlowEnd source;   // of the flow its REGISTER took
  Endpoint remote;
  std::string contact_text;
  std::vector<Given> givens;  // Contact, Path, Service-Route
  std::vector<DoorId> doors;
  Instant ends{};             // 64*T1 after what was granted
  Instant scheduled = Instant::max();  // of its one timer entry that counts
};

}  // namespace sipalg
