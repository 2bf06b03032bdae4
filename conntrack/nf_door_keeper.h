// SPDX-License-Identifier: GPL-2.0-or-later
// Doors in the kernel: entries in the nat maps and pinholes under anchors, kept alive and repaired.
//
// How it works. open(): one nft transaction (translations, steering endpoints), then one ctnetlink send with anchors
// and their pinholes, four to an anchor; places that a sibling's anchor has left are taken first, since an anchor whose
// doors all go is deleted by one message. Anything refused: what was made is undone in reverse, the first error is
// returned. Flows that were there before and would keep packets from the doors are deleted (door_flows.h). open_all(): the
// same for all wishes in one transaction and one send; when anything of it is refused, it is undone as a whole and each wish
// tried alone.
// close() collects, flush() tells the kernel: one ctnetlink send and one nft transaction for all calls that ended within some
// milliseconds (flush_when_due). Until then the doors stand; an open() that one of them could be in the way of flushes first
// (`in_the_way_` may say so too often, never too rarely), and so does one that the kernel refuses.
// The records in `doors_` (door_store.h) are the truth; the kernel's copy is a mirror with a lease of 180 s:
//     tick()       refreshes each anchor and its pinholes every 60 s (a pinhole that is gone is made again by that), some
//                  at a time, and deletes the flows of closed media doors and strays of new doors
//     on_events()  an anchor or pinhole that somebody else deleted is made again at once; events lost: dump, compare
// An anchor's deletion by us tells an event for each of its pinholes, which costs more than the deletion. So nobody listens for
// these while many are deleted; the kernel's count of pinholes that went tells whether somebody else's were among them: then
// the next tick compares.
// After `conntrack -F` the nat maps still translate, so only a firewall's `related` is missing until the repair.
// A killed daemon: its table goes with its socket, pinholes end after their lease, anchors are swept by the next start.
#pragma once
#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "alg/base/instant.h"
#include "alg/base/limits.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/door_flows.h"
#include "conntrack/door_keeper.h"
#include "conntrack/door_store.h"
#include "conntrack/places.h"
#include "conntrack/steering.h"

namespace sipalg {

struct NfDoorKeeperOptions {
  std::chrono::seconds lease = std::chrono::duration_cast<std::chrono::seconds>(limits::kernel_lease);
  std::chrono::milliseconds refresh = limits::kernel_refresh;
  uint32_t expectations = 65'536; // nf_conntrack_expect_max is raised to this where we may
  bool has_thread = false;        // for dumps that nobody has to wait for
};

struct KeeperCounters {
  uint64_t opened = 0, refused = 0, closed = 0;
  uint64_t anchors_repaired = 0, pinholes_repaired = 0, resyncs = 0;
  uint64_t flows_deleted = 0, leftovers = 0;
};

class NfDoorKeeper : public DoorKeeper {
 public:
  // Throws std::system_error when the kernel lets us make no anchor (missing nf_conntrack_sip, no privilege).
  explicit NfDoorKeeper(Steering& steering, NfDoorKeeperOptions options = {});
  ~NfDoorKeeper() override;
  NfDoorKeeper(const NfDoorKeeper&) = delete;
  NfDoorKeeper& operator=(const NfDoorKeeper&) = delete;

  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                            DoorHandle sibling = 0) override;
  void open_all(std::span<Wish* const> wishes) override;
  void close(std::span<const DoorHandle> handles) override;
  void flush() override;
  // As flush(), some milliseconds after it is seen first that something was closed, or at once when that is much. When to ask again;
  // Instant::max(): nothing waits.
  Instant flush_when_due(Instant now);
  bool is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) override;
  bool is_surely_free(Protocol protocol, const Endpoint& outside) override;
  bool has_flow(std::span<const DoorHandle> handles) override;

  void tick(Instant now);    // once a second, and by next_tick(): a slice of the refreshes takes a fifth of a millisecond
  Instant next_tick() const;
  int event_fd() const { return events_.fd(); }
  void on_events(); // when event_fd() is readable
  // Also by the destructor; tells the kernel, too. Flows through doors that are open go on: the end of the daemon ends no call.
  void close_all();
  // Raises nf_conntrack_expect_max where we may, else has advice. At start, and after that whenever asked.
  void raise_limit();

  std::size_t door_count() const { return open_; }
  std::size_t anchor_count() const { return anchors_.size(); }
  const KeeperCounters& counters() const { return counters_; }
  // What could not be set at start, as a sentence for the administrator; empty when all is well.
  const std::string& advice() const { return advice_; }

 private:
  struct Held { // an anchor and its doors
    std::array<uint32_t, Anchor::pinholes> doors{no_place, no_place, no_place, no_place};
    uint32_t number = 0;
    uint32_t sooner = no_place, later = no_place; // in the order of refresh_at
    uint16_t zone = 0;
    Family family = Family::none;
    Instant refresh_at{};
    bool is_empty() const;
    bool has_room() const;
  };
  // What one open() or open_all() is about to make. Kept between calls for its memory.
  struct Plan {
    std::vector<uint32_t> doors, anchors; // places, all new
    uint32_t current = no_place;          // the anchor that gets the next pinhole
    bool has_sibling = false;             // some doors go under an anchor that is there already
    SteeringChange change;
    NetlinkBatch batch;
    std::vector<uint32_t> makes; // of each message: the anchor it makes, or no_place
    void clear();
  };
  using Result = std::expected<void, std::error_code>;
  // An anchor's place is in its number, and the number changes from one owner of the place to the next: what comes late
  // about an earlier one is not mistaken for it.
  static constexpr uint32_t anchor_places = limits::doors; // even one door to an anchor fits
  static constexpr uint32_t rounds = Anchor::most / anchor_places;

  Anchor anchor_at(uint32_t place) const;
  std::optional<uint32_t> find_anchor(const Anchor& anchor) const;
  uint32_t new_anchor(Family family, uint16_t zone);
  void drop_anchor(uint32_t place);
  Result add_to_plan(std::span<const KernelDoor> doors, DoorHandle sibling);
  bool open_together(std::span<Wish* const> wishes);
  Result make();
  void undo(const NetlinkSocket::Results& results);
  void forget_plan();
  void keep(std::span<const uint32_t> places, std::span<DoorHandle> handles);
  void set_closed(uint32_t place);
  bool is_in_the_way(std::span<const KernelDoor> doors) const;
  void flush(std::span<const uint32_t> closing);
  void take_away(const SteeringChange& change);
  void retry_unclosed();
  void delete_anchors(std::size_t pinholes);
  void compare_if_unsure();
  void leave_anchor(uint32_t door);
  void delete_pinholes(const std::vector<uint32_t>& doors);
  void schedule(uint32_t anchor, Instant at);
  void unschedule(uint32_t anchor);
  void refresh_due();
  void retry_failed();
  void refresh(const std::vector<uint32_t>& anchors);
  void remake(const std::set<uint32_t>& lost);
  void put_all(NetlinkBatch& batch, uint32_t anchor) const;
  void resync();
  bool is_about_ours(const nlmsghdr& event) const;
  void on_event(const nlmsghdr& message, std::set<uint32_t>& lost, std::set<uint32_t>& holes);
  uint32_t find_door(const Expectation& expectation) const;
  void repair(const std::set<uint32_t>& lost, const std::set<uint32_t>& holes);
  void remove_leftovers();
  void check();

  Steering& steering_;
  NfDoorKeeperOptions options_;
  NetlinkSocket events_; // listens before the first anchor is made: others never report their end
  Ctnetlink conntrack_;
  DoorStore doors_;
  DoorFlows flows_;
  Places<Held> anchors_;
  uint32_t first_due_ = no_place, last_due_ = no_place; // of the anchors, by refresh_at
  uint32_t last_round_ = 0;
  std::size_t open_ = 0;
  std::vector<uint32_t> closing_;  // closed, and still standing
  MaybeInstant closing_since_;     // seen by flush_when_due()
  std::bitset<65536> in_the_way_;  // by hashes of their endpoints; a read of 256 packets may close and open hundreds
  Plan plan_;
  SteeringChange closed_change_; // scratch of flush()
  SteeringChange unclosed_;      // what the kernel would not take away
  NetlinkBatch batch_;
  Instant now_{};
  Instant refreshed_{};
  std::set<uint32_t> failed_; // anchors that the kernel did not make again
  uint32_t next_retry_ = 0;
  Instant retried_{};
  Instant swept_{};
  bool is_unsure_ = false; // somebody may have deleted a pinhole unheard
  Instant compare_at_{};   // not before
  KeeperCounters counters_;
  std::string advice_;
};

} // namespace sipalg
