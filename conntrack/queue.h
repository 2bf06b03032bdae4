// SPDX-License-Identifier: GPL-2.0-or-later
// NFQUEUE: packets in, verdicts out.
//
// How it works. All queue numbers are bound to one socket, so packets arrive in the order the kernel queued them,
// whichever number they took. A packet is answered by exactly one verdict, whatever happens: PendingVerdict issues
// "accept unchanged" when it is dropped. Verdicts are collected and sent together by receive() or flush(); a run of
// plain accepts becomes one batch verdict as long as no older packet is still held. Closing the socket makes the kernel
// drop what it still holds, so end with Steering::stop(), then drain().
// The callback that a packet is given to may ask for the next one before it is through with its own, see give_next(): all
// packets of one read stay in the buffer until the last of them is answered or the callbacks have come back.
// Nothing is allocated per packet: the ids that are held stand in one row, oldest first, as the kernel counts them up
// (nfnetlink_queue.c, under its lock; they wrap); new bytes are written where the verdict is sent from.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "conntrack/ctnetlink.h"
#include "conntrack/netlink.h"

namespace sipalg {

class Queue;

// What the kernel said about a packet's conntrack (NFQA_CT).
struct PacketConntrack {
  ConntrackEntry entry;
  bool reply_direction = false;
};

// Borrows `bytes` from the queue's buffer: valid inside the callback only.
struct QueuedPacket {
  uint32_t id = 0;
  uint16_t queue = 0;
  bool from_births = false; // not confirmed yet: its tuples are in the births map
  std::span<const uint8_t> bytes;
  uint32_t indev = 0, outdev = 0;
  uint32_t mark = 0;
  std::optional<PacketConntrack> conntrack;
};

// The one verdict of a packet. The queue must outlive it.
class PendingVerdict {
 public:
  PendingVerdict(Queue& queue, uint16_t number, uint32_t id) : queue_(&queue), number_(number), id_(id) {}
  PendingVerdict(PendingVerdict&& other) noexcept;
  PendingVerdict& operator=(PendingVerdict&& other) noexcept;
  ~PendingVerdict() { accept(); }
  // What a verdict can carry: an attribute's length has 16 bits. A packet that is larger is dropped.
  static constexpr std::size_t most_bytes = 65'531;
  void accept();                                // unchanged
  void accept(std::span<const uint8_t> packet); // with these bytes instead (a whole IP packet)
  // With the `size` bytes that `write` puts into the span it is given. It issues no other verdict. When it throws, no verdict
  // was issued.
  template <typename Write> void accept(std::size_t size, const Write& write);
  void drop();

 private:
  Queue* queue_;
  uint16_t number_;
  uint32_t id_;
};

struct QueueOptions {
  uint16_t queue = 5060;   // also binds queue + 1 when the kernel has no NFQA_CT
  bool tcp = false;        // also binds queue + 2 (and + 3), without fail-open
  uint32_t longest = 8192; // packets the kernel holds for us
  int receive_bytes = 32 << 20;
  bool has_siblings = false; // other queues are read by threads beside this one
};

struct QueueCounters {
  uint64_t packets = 0;
  uint64_t overruns = 0;         // ENOBUFS: the kernel passed (UDP) or dropped (TCP) packets we never saw
  uint64_t refused_verdicts = 0; // the kernel did not know the packet any more
  uint64_t malformed = 0;
  void add(const QueueCounters& other) {
    packets += other.packets, overruns += other.overruns, refused_verdicts += other.refused_verdicts, malformed += other.malformed;
  }
};

class Queue {
 public:
  using OnPacket = std::function<void(const QueuedPacket&, PendingVerdict)>;
  explicit Queue(QueueOptions options); // throws std::system_error: EPERM, EBUSY = somebody else reads this queue
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  int fd() const { return socket_.fd(); }
  bool has_conntrack() const { return has_conntrack_; }
  const QueueCounters& counters() const { return counters_; }

  // Reads up to `most` packets without waiting, then sends the verdicts. Returns how many there were.
  std::size_t receive(const OnPacket& on_packet, std::size_t most = 256);
  // Inside on_packet: gives it the next packet of the same read, unless there is none or `may_come` says no; then false.
  using MayCome = std::function<bool(const QueuedPacket&)>;
  bool give_next(const MayCome& may_come);
  void flush(); // sends verdicts that were given outside receive()
  // Gives every packet that is still there to `on_packet`; call it when no rule leads here any more.
  void drain(const OnPacket& on_packet);

 private:
  friend class PendingVerdict;
  struct Buffers;
  struct Lane; // what waits in one queue number
  void bind(uint16_t number, bool fail_open);
  void configure(uint16_t number, uint32_t flag, bool required);
  bool ask_conntrack(uint16_t number);
  bool may_gather(std::size_t last_read) const;
  void begin_reading(std::size_t count, const OnPacket& on_packet);
  void find_message();
  void skip_message();
  bool is_packet(const nlmsghdr& message); // else it counts what it tells
  std::optional<QueuedPacket> parse(const nlmsghdr& message);
  void issue(uint16_t number, uint32_t id, uint32_t verdict);
  std::span<uint8_t> begin_packet(std::size_t size);
  void end_packet(uint16_t number, uint32_t id, std::size_t size);
  Lane& lane_of(uint16_t number) { return lanes_[static_cast<uint16_t>(number - options_.queue)]; }
  void flush_accepts(Lane& lane);
  void flush_all_accepts();
  void make_room(std::size_t bytes);
  void put_verdict(uint8_t type, uint16_t number, uint32_t id, uint32_t verdict, std::size_t packet_bytes = 0);
  void send_messages();
  bool is_births(uint16_t number) const;

  struct Reading {
    const OnPacket* on_packet = nullptr;
    std::size_t datagram = 0, count = 0;
    const nlmsghdr* message = nullptr; // the next to be given; null: all are
    int left = 0;                      // bytes of the datagram from there on
  };

  struct Lane {
    uint16_t number = 0;
    std::vector<uint32_t> held;     // given to the callback, not answered yet; oldest first
    std::vector<uint32_t> accepted; // answered by a plain accept, not sent yet
    void take_out(uint32_t id);
  };

  QueueOptions options_;
  NetlinkSocket socket_;
  bool has_conntrack_ = false;
  QueueCounters counters_;
  std::unique_ptr<Buffers> buffers_;
  Reading reading_;
  std::array<Lane, 4> lanes_; // by queue number
  Lane* last_accepted_;
  std::size_t filled_ = 0; // bytes of verdicts that are ready to send
};

template <typename Write> void PendingVerdict::accept(std::size_t size, const Write& write) {
  if (queue_ == nullptr) return;
  if (size == 0 || size > most_bytes) return drop();
  write(queue_->begin_packet(size));
  std::exchange(queue_, nullptr)->end_packet(number_, id_, size);
}

} // namespace sipalg
