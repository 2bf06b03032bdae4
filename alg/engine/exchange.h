// SPDX-License-Identifier: GPL-2.0-or-later
// One message past one inside end: which transaction and leg it belongs to, what the rules do to it, what follows.
//
// How it works
//   request out / response in / request in / response out: four short scripts over the same steps:
//     1. find or begin the transaction, and the leg when the method makes one;
//     2. the header group: map (out) or restore (in); claim, second opinion, open, own, or undo;
//     3. each SDP body: the same, for itself; then the leg's media and ways out follow the offer/answer;
//     4. what the message ends.
//   A retransmission walks the same way: its header doors are there and owned already, its SDP is known as a copy, so it
//   changes nothing and gets the same bytes. A group that failed with the first message of a transaction is not tried
//   again in it.
//   Proved by test/engine, each scenario rerun with the N-th kernel operation failing.
#pragma once
#include "alg/engine/rooms.h"

namespace sipalg {

class Exchange {
 public:
  Exchange(EngineRooms& rooms, Scratch& scratch, const Passage& passage, Trace* trace);
  // Edits are in the scratch's edit list afterwards. Not Reason::edited: why nothing was to be done.
  Reason run(const SipDatagram& datagram);
  // A message of a transaction, leg or registration that is known. Asked where the flow is not in service.
  bool belongs_to_record() const;

 private:
  Reason request_out();
  Reason response_in();
  Reason request_in();
  Reason response_out();

  // --- the whole message (exchange.cc) ---
  Reason follow();
  bool fix_content_length();
  Reason may_leave(const SipDatagram& datagram) const;
  void undo_edits(Reason reason);

  // --- finding (exchange.cc) ---
  TransactionKey key(bool outgoing) const;
  CallDatabase::CallKey call_key() const;
  TagId inside_tag() const { return message_.is_request == passage_.out ? from_tag_ : to_tag_; }
  TagId outside_tag() const { return message_.is_request == passage_.out ? to_tag_ : from_tag_; }
  bool is_in_dialog() const { return message_.to.tag.is_set(); }
  bool find_or_begin(bool outgoing);
  Reason find_request();  // transaction and leg; not Reason::edited: why it passes unchanged
  bool copies_invite() const;  // ACK and CANCEL make nothing of their own
  bool is_untouched() const;   // what it belongs to passed unchanged
  void find_leg();
  void begin_leg();
  void note_routing();
  TagId dialog_tag() const;
  Dialog* find_dialog() const { return leg_->find_dialog(dialog_tag()); }
  Dialog* add_dialog();
  void note_leg_message();

  // --- header groups (header_groups.cc) ---
  void map_request_headers(bool may_create);
  void map_response_headers();
  void restore_response_headers();
  void restore_request_headers();
  bool commit_headers(HeaderMap& map, Group& group);
  bool opinions_agree(const HeaderMap& map, Group& group);
  void own_headers(HeaderMap& map);
  void own_wishes(AnySmallList<RegistrationWish>& wishes);
  void keep_service_route(const HeaderMap& map);
  void fail_group(bool is_body, Reason reason);
  void leave_group(bool is_body);
  bool may_map_from() const;
  Address mapped_from() const;
  bool is_dialog_untouched() const;

  // --- bodies (bodies.cc) ---
  bool may_carry_sdp() const;
  bool is_answer() const;
  void note_prack_answer();
  void handle_bodies();
  void handle_body(const sdp::Part& part);
  std::size_t body_mark() const;
  bool is_body_failed() const;
  void mark_body_failed();
  void begin_body();
  void map_body(const sdp::Part& part, Group& group);
  void follow_growth(const sdp::Part& part, Group& group);
  void read_remote_body(const sdp::Part& part);
  bool is_preview() const;  // an answer that stands only if the 2xx comes
  bool repeats_older() const;
  void begin_sdp();
  Offer* offer_of_message();  // the one it makes, or answers
  MediaSession* note_sdp();
  void follow_inside_sdp(std::span<const MappedUse> uses);
  void settle(bool muxed);
  void take_early_answer(Dialog& dialog);
  void open_ways_out(const Dialog& dialog, const MediaSession& said);
  bool changes_nothing() const;
  void use(MediaUse wanted);

  // --- peers (peers.cc) ---
  void meet_peers();
  void meet(const sip::Uri& uri);
  void add_peer(const Endpoint& peer);
  void meet_neighbour(const sip::Uri& uri, const Endpoint& outside);
  std::optional<Doors::Found> neighbours_door(const sip::Uri& uri, const Endpoint& outside) const;
  void meet_destination();
  void join_peers();
  std::optional<DoorId> open_way_out(Protocol protocol, const Address& host, const Endpoint& remote);
  std::optional<DoorId> claim_for(const KernelDoor& known, const Address& host);
  void way_to_target(const sip::Uri& uri);
  void way_out_for_transaction(Protocol protocol, const Endpoint& remote);
  void way_out_for_via();
  void way_out_for_redirects();

  // --- what a message ends (endings.cc) ---
  void heard_response();
  void heard_invite_response(bool is_copy);
  void heard_dialog(bool is_copy);
  void note_untouched_invite(Dialog& dialog);
  bool begins_anew(const Dialog& dialog) const;
  void begin_dialog(Dialog& dialog);
  void note_session_interval();
  void heard_subscription_response();
  void heard_register_response();
  uint32_t granted_to(const RegistrationWish& wish) const;
  Registration granted_registration(uint32_t seconds) const;
  void register_wish(RegistrationWish& wish, uint32_t granted);
  void heard_bye_response();
  void confirm_subscription(Dialog& dialog);
  std::optional<std::chrono::seconds> notified_time() const;
  void heard_notify();
  void end_subscription();

  EngineRooms& rooms_;
  Scratch& scratch_;
  const Passage& passage_;
  const sip::Message& message_;
  Rules rules_;
  Trace* trace_;
  CallDatabase::CallKey call_ = 0;  // of a request; a response finds its leg by its transaction
  TagId from_tag_, to_tag_;
  TransactionId transaction_id_ = 0;
  Transaction* transaction_ = nullptr;
  LegId leg_id_ = 0;
  Leg* leg_ = nullptr;
  bool is_known_ = false;  // the transaction was there before this message
  bool body_is_copy_ = false;          // its SDP was handled before
  bool remote_was_read_ = false;       // an SDP before in this message
  uint32_t sequence_ = 0;              // Leg::sequence of the SDP this message carries; its parts share it
  bool offer_was_taken_ = false;       // by an SDP before in this message
  bool waits_ = false;                 // that changes the session only later: an offer, a preview
  bool is_rescheduled_ = false;        // a deadline of the leg may have moved
  std::size_t opened_before_;          // Scratch::opened, when this message came
  Reason failure_ = Reason::edited;
};

// Puts doors in the kernel that a message in makes: best effort, one batch; what is refused is given back.
bool open_or_release(Rules& rules, AnySmallList<DoorId>& doors, Instant now, DoorId sibling = 0);

}  // namespace sipalg
