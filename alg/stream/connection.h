// SPDX-License-Identifier: GPL-2.0-or-later
// One followed connection: both halves, and what a packet of one says about the other.
//
// How it works. A packet carries data of one half (mine) and the acknowledgement of the other:
//
//     sequence          by mine's map; while a message is held, the end of what was sent
//     acknowledgement   by the other's map backwards, raised to what was taken over, never to anything else
//     SACK blocks       by the other's map, so that no block claims more than the receiver has; first the runs kept behind a
//                       gap; duplicates (RFC 2883) are left out: they would tell of our old bytes
//     window            honest: its right edge is the receiver's, through the map backwards; never more than it announced
//     timestamps        the sender's newest, whichever packet it came with (RFC 7323 section 5: an older one would be refused)
//
// A packet of plain halves (same bytes, nothing held, nothing taken over) is accepted as it came.
//
// SYN: the MSS option is lowered for headroom; data on it is cut off (RFC 7413: its sender sends it again); a segment with a
// signature over its header (RFC 2385, RFC 5925) makes the connection pass untouched. RST: goes at once; one that its sender
// can have sent ends the connection, and what is held is dropped with it; any other is the receiver's to judge.
//
// Guarded: from the first length that changes, or the first byte that is taken over, no segment may pass the daemon by, also
// when there is none. In the second case until the receiver has everything: then the ends can do without us again.
#pragma once
#include <array>
#include <string>
#include <unordered_map>

#include "alg/stream/half.h"

namespace sipalg {

struct StreamUse {
  std::size_t connections = 0, bytes = 0, packets = 0;  // followed; held; waiting
  friend bool operator==(const StreamUse&, const StreamUse&) = default;
};

// What all connections share. A host that fills its share takes nothing from the others'.
struct StreamWorld {
  StreamOutlet& outlet;
  StreamEditor& editor;
  StreamStore* store;
  Stats& stats;
  StreamLimits limits;
  StreamUse total;
  std::unordered_map<Address, StreamUse> hosts;  // by the opener of the connection; only those that use something
  bool has_room(const Address& host, std::size_t bytes) const;
  bool may_wait(const Address& host) const;
  bool may_open(const Address& host) const;
  void note(const Address& host, StreamUse before, StreamUse now);
};

struct StreamPacket {
  Ticket ticket = 0;
  SegmentView segment;
  const Flow* flow = nullptr;
  std::size_t size = 0, mtu = 0;
};

class Connection {
 public:
  Connection(const StreamKey& key, StreamWorld& world) : key_(key), world_(world) {}

  void handle(const StreamPacket& packet, Instant now);
  void tick(Instant now);
  Instant due() const;               // when tick() has something to do
  bool is_over() const { return is_over_; }  // nothing of it depends on the table any more
  bool may_be_replaced() const { return !are_open() || is_closing_; }
  bool is_first_syn(const StreamPacket& packet) const;  // a SYN that is no repetition
  void answer_all();                 // every held packet gets its verdict
  void forget();                     // and the store is told

  std::string saved() const;
  bool restore(std::string_view bytes, Instant now);

  StreamSummary summary() const;
  StreamUse use() const { return {1, held_bytes(), held_packets()}; }
  const Address& host() const { return key_.opener.inside.address; }
  std::size_t held_bytes() const { return halves_[0].bytes() + halves_[1].bytes(); }
  std::size_t held_packets() const { return halves_[0].carriers.size() + halves_[1].carriers.size(); }

 private:
  // A packet on its way out.
  struct Outgoing {
    Ticket ticket;
    std::span<const uint8_t> headers;
    uint32_t transport_offset;
    uint8_t flags;
    const StreamPacket* packet;  // the one in hand; null: it waited
  };
  enum Side : std::size_t { opener = 0, answerer = 1 };
  static Side other(Side side) { return side == opener ? answerer : opener; }
  bool are_open() const { return halves_[0].is_open && halves_[1].is_open; }
  bool has_sack() const { return halves_[0].sack_permitted && halves_[1].sack_permitted; }
  unsigned scale_of(Side side) const;

  // connection.cc
  void on_syn(Side side, const StreamPacket& packet);
  void on_reset(Side side, const StreamPacket& packet);
  static bool is_credible(const Half& mine, const SegmentView& segment);
  bool on_acknowledgement(Side side, const StreamPacket& packet);
  void on_pure(Side side, const StreamPacket& packet, Instant now);
  bool guard(const Flow& flow);
  void end_guarding();
  void tick_half(Side side, Instant now);
  void end_if_unread();
  Instant held_until(const Half& half) const;
  Instant stalls_at(const Half& half) const;
  limits::milliseconds life() const;  // without a packet

  // connection_data.cc
  void on_data(Side side, const StreamPacket& packet, Instant now);
  void on_gap(Side side, const StreamPacket& packet, Position begin, Instant now);
  void on_repeat(Side side, const StreamPacket& packet, Position begin, Instant now);
  void on_fresh(Side side, const StreamPacket& packet, Position begin, Instant now);
  bool is_surplus(const Half& mine, std::size_t fresh) const;
  void on_surplus(Side side, const StreamPacket& packet, Position begin, Instant now);
  void pass_unread(Side side, const StreamPacket& packet, Position begin, Instant now);
  void read(Side side, std::string_view fresh, Instant now);
  std::size_t decide(Side side, std::string_view run, bool in_hand, Instant now);
  EditedMessage edit(const Half& mine, std::string_view held, std::size_t bytes_behind, const Flow& flow, Instant now);
  Reason may_become(const Half& mine, std::size_t size, bool is_resized, const Flow& flow);
  void decide_message(Side side, std::string_view held, std::size_t bytes_behind, bool in_hand, Instant now);
  bool may_keep(const Half& mine, std::size_t size) const;
  std::size_t most_carriers() const { return world_.may_wait(host()) ? world_.limits.held_packets : 0; }
  void pass(Half& mine, std::string_view bytes, bool in_hand);
  void give_up(Half& mine);
  void stop_reading(Half& mine, Event why);
  void pass_for_good();
  void end_as_no_sip(Instant now);

  // connection_send.cc
  void accept(Ticket ticket);
  void drop(Ticket ticket);
  void settle();  // what was changed reaches the store before the verdict
  void wait(Side side, const StreamPacket& packet, Position begin);
  void pump(Side side, const StreamPacket* packet, Instant now);
  bool release_plain(Side side);
  bool carry(Side side, const Outgoing& outgoing, const Ask& ask, Instant now);
  void probe(Side side, const Outgoing& outgoing);
  void probe_for_us(Side side, const Outgoing& outgoing);
  void probe_or_carry(Side side, Carrier carrier, Instant now);
  void send(Side side, const Outgoing& outgoing, Position sequence, uint8_t flags, std::string_view payload);
  SackBlocks sack_for(Side side, const StreamPacket* packet, Position acknowledged) const;
  Position acknowledged_for(Side side) const;
  Position edge_for(Side side) const;
  uint16_t written_window(Side side) const;
  Position pure_sequence(const Half& mine, Position begin) const;
  std::size_t room_of(Side side, const StreamPacket& packet) const;
  static Outgoing outgoing_of(const StreamPacket& packet);
  static Outgoing outgoing_of(const Carrier& carrier);

  StreamKey key_;
  StreamWorld& world_;
  std::array<Half, 2> halves_;
  std::array<Flow, 2> flows_;  // of each side's newest packet
  Instant asked() const { return std::max(asked_, last_seen_); }

  Instant last_seen_{}, asked_{};  // asked_: whether it is alive
  Instant restored_at_{};
  bool is_guarded_ = false;    // conntrack no longer judges lengths, and nothing passes the daemon by
  bool was_guarded_ = false;   // segments that conntrack did not judge may be under way
  bool has_resized_ = false;
  bool is_sip_ = true;         // as far as is known
  bool is_closing_ = false, is_over_ = false;
  bool is_dirty_ = false, is_stored_ = false;
  std::vector<uint8_t> out_;
};

}  // namespace sipalg
