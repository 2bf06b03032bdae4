// SPDX-License-Identifier: GPL-2.0-or-later
// Doors in the kernel: entries in the nat maps and pinholes under anchors, kept alive and repaired.
//
// How it works. open(): one nft transaction (translations, steering endpoints), then one ctnetlink send with anchors
// and their pinholes, four to an anchor. Anything refused: what was made is undone in reverse, the first error is
// returned. Flows that were there before and would keep packets from the doors are deleted (door_flows.h). The
// table `doors_` is the truth; the kernel's copy is a mirror with a lease of 180 s:
//     tick()       refreshes each anchor and its pinholes every 60 s (a pinhole that is gone is made again by that),
//                  and deletes the flows of closed media doors and strays of new doors, by one dump a second at most
//     on_events()  an anchor or pinhole that somebody else deleted is made again at once; events lost: dump, compare
// After `conntrack -F` the nat maps still translate, so only a firewall's `related` is missing until the repair.
// A killed daemon: its table goes with its socket, pinholes end after their lease, anchors are swept by the next start.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "alg/base/instant.h"
#include "alg/base/limits.h"
#include "conntrack/ctnetlink.h"
#include "conntrack/door_flows.h"
#include "conntrack/door_keeper.h"
#include "conntrack/steering.h"

namespace sipalg {

struct NfDoorKeeperOptions {
  std::chrono::seconds lease = std::chrono::duration_cast<std::chrono::seconds>(limits::kernel_lease);
  std::chrono::milliseconds refresh = limits::kernel_refresh;
  uint32_t expectations = 65'536; // nf_conntrack_expect_max is raised to this where we may
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

  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles) override;
  void close(std::span<const DoorHandle> handles) override;
  bool is_free(Protocol protocol, const Endpoint& outside) override;
  bool has_flow(std::span<const DoorHandle> handles) override;

  void tick(Instant now); // about once a second
  int event_fd() const { return events_.fd(); }
  void on_events(); // when event_fd() is readable
  void close_all(); // also by the destructor
  // Raises nf_conntrack_expect_max where we may, else has advice. At start, and after that whenever asked.
  void raise_limit();

  std::size_t door_count() const { return doors_.size(); }
  std::size_t anchor_count() const { return anchors_.size(); }
  const KeeperCounters& counters() const { return counters_; }
  // What could not be set at start, as a sentence for the administrator; empty when all is well.
  const std::string& advice() const { return advice_; }

 private:
  struct Door {
    KernelDoor door;
    Pinhole pinhole;
    Anchor anchor;
  };
  struct Held { // an anchor and its doors
    std::array<DoorHandle, Anchor::pinholes> doors{};
    Instant refresh_at;
  };
  // What one open() is about to make.
  struct Plan {
    std::vector<Door> doors;
    std::vector<Anchor> anchors;
    SteeringChange change;
    NetlinkBatch batch;
    std::vector<std::optional<Anchor>> makes; // set where the message makes an anchor
  };
  using Result = std::expected<void, std::error_code>;

  Plan plan(std::span<const KernelDoor> doors);
  Anchor new_anchor(Family family, uint16_t zone);
  Result make(Plan& plan);
  void undo(const Plan& plan, const NetlinkSocket::Results& results);
  void keep(const Plan& plan, std::span<DoorHandle> handles);
  std::vector<Door> forget(std::span<const DoorHandle> handles);
  void delete_kernel_side(const std::vector<Door>& doors);
  void delete_pinholes(const std::vector<Door>& doors);
  void schedule(const Anchor& anchor, Instant at);
  void refresh_due();
  void refresh(const std::vector<Anchor>& anchors);
  void remake(const std::set<Anchor>& lost);
  void put_all(NetlinkBatch& batch, const Anchor& anchor) const;
  void resync();
  void on_event(const nlmsghdr& message, std::set<Anchor>& lost, std::set<DoorHandle>& holes);
  DoorHandle find_door(const Expectation& expectation) const;
  void repair(const std::set<Anchor>& lost, const std::set<DoorHandle>& holes);
  void remove_leftovers();
  void check();

  Steering& steering_;
  NfDoorKeeperOptions options_;
  NetlinkSocket events_; // listens before the first anchor is made: others never report their end
  Ctnetlink conntrack_;
  DoorFlows flows_;
  std::unordered_map<DoorHandle, Door> doors_;
  std::map<Anchor, Held> anchors_;
  std::deque<std::pair<Instant, Anchor>> refresh_order_; // an entry counts while its time is the anchor's
  DoorHandle last_handle_ = 0;
  uint32_t last_anchor_ = 0;
  Instant now_{};
  Instant swept_{};
  KeeperCounters counters_;
  std::string advice_;
};

} // namespace sipalg
