// SPDX-License-Identifier: GPL-2.0-or-later
// A door keeper that gathers what several messages ask for, and asks the kernel once.
//
// How it works. A message can not go on before the kernel has made its doors, but other messages can. So open() first does
// other work, the next packets of the same read, until there is none that may come first; each of these may get to an open() of
// its own, deeper in the same stack:
//
//     INVITE of call 1: open() -> INVITE of call 2: open() -> BYE of call 3: done -> 200 of call 4: open() -> no more work:
//     the wishes of 1, 2 and 4 are carried out together; then 4 goes on to its end, then 2, then 1
//
// Who comes back from open() finds all as after an open() that asked the kernel itself, only that other messages have been
// handled meanwhile. So the work has to be of a kind that does not meddle with who waits: which, the one knows who gives it
// (PacketPath). What two of them share, a door, is looked after by who keeps it (DoorTable), with settle().
// When open_all() throws, everybody who is not served yet asks again on the way back: nobody waits for ever, and the exception
// meets one message alone.
// Proved by test/engine/crowd_test.cc.
#pragma once
#include <functional>
#include <vector>

#include "conntrack/door_keeper.h"

namespace sipalg {

class GatheringKeeper : public DoorKeeper {
 public:
  // Borrows the keeper that asks the kernel.
  explicit GatheringKeeper(DoorKeeper& kernel) : kernel_(kernel) {}

  // Does a piece of other work, which may come back here; false: there is none. Must not throw. Without it open() is the kernel's.
  using Work = std::function<bool()>;
  void set_other_work(Work work) { other_work_ = std::move(work); }

  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                            DoorHandle sibling = 0) override;
  void settle() override;
  void close(std::span<const DoorHandle> handles) override { kernel_.close(handles); }
  bool is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) override {
    return kernel_.is_free(protocol, outside, inside);
  }
  bool has_flow(std::span<const DoorHandle> handles) override { return kernel_.has_flow(handles); }

  std::size_t waiting() const { return waiting_.size(); }  // open() that have not come back

 private:
  DoorKeeper& kernel_;
  Work other_work_;
  std::vector<Wish*> waiting_;  // the outermost first
  std::vector<Wish*> wishes_;   // scratch of settle()
};

}  // namespace sipalg
