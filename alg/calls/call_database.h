// SPDX-License-Identifier: GPL-2.0-or-later
// The call database: every transaction and leg, found by Call-ID, never by 5-tuple. Where several workers share the calls,
// this is the part with those of some inside hosts (Engine).
//
// How it works
//   Records own doors. A record ends by a message (the rules call end_...) or by time (tick), and ending releases its
//   doors exactly once. Nothing here knows what a message looks like.
//   Of one call the media doors belong to attempts and dialogs: a use names its dialog, or by the number of its SDP the
//   INVITE that offered it, and goes with it while other branches live on.
//   Timers: each record has one deadline, a function of its fields; a wheel holds (time, record) pairs. A deadline that
//   moved later is found when the old entry comes up; one that moved earlier gets a second entry (a transaction's needs none:
//   it is looked at early enough). So messages of a living call touch no timer.
//   Records that have ended and only wait for late copies of their messages are remembered in the order they ended
//   (EndedRing). Where more end than it holds, the oldest go before their time: what is over never fills the tables.
//   The living are never cut: before time ends a confirmed call the kernel is asked whether its media still has a
//   conntrack; while it has, the call stays (sip-rules section 6).
//   Bounds: limits.h; a full table refuses the new record, and its messages pass unchanged.
//   Proved by test/engine.
#pragma once
#include <span>

#include "alg/base/host_shares.h"
#include "alg/calls/ended_ring.h"
#include "alg/calls/records.h"
#include "alg/calls/timer_wheel.h"

namespace sipalg {

class CallDatabase {
 public:
  // `salt` makes the places of records in their tables unpredictable to those who choose Call-IDs.
  CallDatabase(Doors& doors, Stats& stats, uint64_t salt) : doors_(doors), stats_(stats), salt_(salt) {}
  void set_idle(std::chrono::milliseconds idle, std::chrono::milliseconds held) { idle_ = idle; idle_held_ = held; }

  // --- transactions ---
  Transaction* transaction(TransactionId id) { return transactions_.find(id); }
  const Transaction* transaction(TransactionId id) const { return transactions_.find(id); }
  // `call_id` and what follows as Exchange::key says.
  TransactionKey key_of(std::initializer_list<std::string_view> texts) const { return hash_texts(texts, salt_); }
  TransactionId find_transaction_id(const TransactionKey& key) const;
  // The caller fills in the rest; it ends 64*T1 from now.
  TransactionId begin_transaction(const TransactionKey& key, const FlowEnd& source, Instant now);  // 0: a bound is reached
  void heard_response(TransactionId id, uint16_t status, Instant now);    // moves its end (sip-rules section 6)
  void prolong_ringing(Leg& leg, Instant now);                            // PRACK: the attempt lives

  // --- legs ---
  TagId tag_id(std::string_view tag) const { return tag.empty() ? 0 : static_cast<TagId>(hash_text(tag, salt_)) | 1; }
  // Stands for Call-ID and inside host, as TransactionKey does for more; with the tags, which are no part of it, it is wide enough.
  using CallKey = uint64_t;
  CallKey call_key(std::string_view call_id, const Address& inside_host) const;
  LegId find_leg(CallKey call, TagId inside_tag, TagId outside_tag) const;
  // Before that search, each some hundred instructions after the one before: the second reads what the first asked for, and asks
  // for what it leads to, as the search itself does (prefetch.h).
  void prefetch_place(CallKey call) const { by_call_id_.prefetch(call); }
  void prefetch_leg(CallKey call) const { by_call_id_.prefetch_first(call); }
  Leg* leg(LegId id) { return legs_.find(id); }
  LegId begin_leg(Leg leg, const LegPath& path, Instant now);  // 0: the table is full
  Dialog* add_dialog(Leg& leg, std::string_view tag);  // finds or makes; nullptr: a bound
  const LegPath& path_of(const Leg& leg) const { return paths_[leg.path]; }
  void add_peer(Leg& leg, const Endpoint& peer);  // it has none like it
  void touch(Leg& leg, Instant now) { leg.last_message = now; }  // a message of it was seen: it is not idle
  void begin_call(Leg& leg);              // an INVITE is its matter, again perhaps; counted once
  void revive(Leg& leg);                  // a new attempt or subscription of a leg that was ending
  // All that speaks is done: media closes now, the rest in 64*T1.
  void end_leg(LegId id, Instant now, bool by_message);
  // A BYE of this dialog was answered, or never will be. The leg ends with its last usage (RFC 5057).
  void end_invite_usage(LegId id, TagId dialog, Instant now, bool by_message);
  // Not a success: what this attempt alone asked for closes now, with the last attempt all.
  void attempt_ended(LegId id, TransactionId invite, bool success, Instant now);
  // The request in a dialog that carried an offer was refused, or nobody answers it any more.
  void refuse_offer(TransactionId id, Instant now);
  // It has its answer: what it asked for goes on under the answer's number.
  void take_offer(Leg& leg, Offer& offer, uint32_t answer);
  void give_up_offer(Leg& leg, const Offer& offer, Instant now);
  // What an older SDP of this dialog asked for, and the ones that stand did not, goes 64*T1 from now. Nothing while it is early.
  // Then schedule_leg.
  void replace_older(Leg& leg, const Dialog& dialog, Instant now);
  void end_media(Leg& leg, Instant now);  // at once
  void schedule_leg(LegId id);  // after a deadline of it moved earlier

  // --- ownership ---
  // The owner's list is a set: a door it has already is released again.
  void own(FewNumbers& owned, DoorId door, Instant now);
  void own(Leg& leg, DoorId door, Instant now);
  void release_all(FewNumbers& owned, Instant now);
  // These owners let go of the door, whichever of them have it.
  void disown(DoorId door, Transaction* transaction, Leg* leg, Instant now);

  // Ends what time ends, at most so many records; next_timer() is not after `now` when some are left.
  void tick(Instant now, std::size_t most = SIZE_MAX);
  Instant next_timer() const { return timers_.next(); }
  // Forgets legs (of one Call-ID, as received or escaped, whatever they are; nothing: all calls); how many. Their transactions
  // live on without doors: who waits for a response must get it as one to what he sent.
  std::size_t clear_legs(std::optional<std::string_view> call_id, Instant now);
  void close_all(Instant now);

  // Does a record live whose flow has this port at one of its ends, and none of `in_service` (sorted), which would bring
  // its packets anyway?
  bool needs_port(Protocol protocol, uint16_t port, std::span<const uint16_t> in_service) const;
  template <typename F> void for_each_transaction(F&& f) const { transactions_.for_each(f); }
  template <typename F> void for_each_leg(F&& f) const { legs_.for_each(f); }
  std::size_t transaction_count() const { return transactions_.size(); }
  std::size_t call_count() const { return counted_calls_; }  // begun and not ended
  std::optional<Instant> ends_at(const Leg& leg) const;  // when time would end it; nothing: while it lives

 private:
  enum class Kind : uint8_t { transaction, leg };
  void schedule(Instant when, Kind kind, uint64_t id) { timers_.add({when, id, static_cast<uint8_t>(kind)}); }
  void expire(const TimerWheel::Deadline& deadline, Instant now);
  void prefetch_ended() const;
  void note_ended_transaction(TransactionId id, Instant now);
  void note_ended_leg(LegId id, Instant now);
  void schedule_transaction(TransactionId id, const Transaction& t, Instant now);
  void expire_transaction(TransactionId id, Instant now);
  void give_up(Transaction& transaction, TransactionId id, Instant now);
  void end_unanswered_branches(Leg& leg, TransactionId invite, Instant now);
  void expire_leg(LegId id, Instant now);
  void expire_idle(LegId id, Leg& leg, Instant now);
  void erase_transaction(TransactionId id, Instant now);
  void erase_leg(LegId id, Instant now);
  void drop_ended_uses(Leg& leg, Instant now);
  void close_leg(LegId id, Leg& leg, Instant now);
  void count_end(Leg& leg, Event how);
  void end_early_dialogs(Leg& leg, TransactionId invite, Instant now);
  template <typename Which> void end_uses(Leg& leg, Instant now, Which&& which);
  bool media_lives(const Leg& leg) const;
  Instant leg_deadline(const Leg& leg) const;
  Instant idle_deadline(const Leg& leg) const;

  Doors& doors_;
  Stats& stats_;
  uint64_t salt_;
  std::chrono::milliseconds idle_ = limits::call_idle, idle_held_ = limits::call_idle_held;
  struct PathHash {
    std::size_t operator()(const LegPath& path) const;
  };
  template <typename F> void change_path(Leg& leg, F&& change);
  SharedValues<LegPath, PathHash> paths_;
  Slab<Transaction> transactions_;
  HostShares shares_;  // in transactions_, of inside hosts
  Slab<Leg> legs_;
  struct KeyHash {
    std::size_t operator()(const Transaction& transaction) const { return transaction.key.low; }
  };
  struct CallHash {
    std::size_t operator()(const Leg& leg) const { return leg.call; }
  };
  ChainIndex<Transaction, &Transaction::next_by_key, KeyHash, Found::newest_first, 8> by_key_{transactions_};
  ChainIndex<Leg, &Leg::next_by_call_id, CallHash, Found::newest_first, 8> by_call_id_{legs_};
  TimerWheel timers_;
  std::size_t counted_calls_ = 0;
  EndedRing ended_transactions_{limits::ended_transactions}, ended_legs_{limits::ended_dialogs};
};

}  // namespace sipalg
