// SPDX-License-Identifier: GPL-2.0-or-later
// The seam between the ALG and the kernel: who makes doors. The kernel's own version is NfDoorKeeper, the tests' is
// FakeDoorKeeper, the offline commands' is a keeper that only says yes.
#pragma once
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <system_error>

#include "alg/base/endpoint.h"
#include "alg/base/instant.h"

namespace sipalg {

// What the kernel is asked to hold for one door.
struct KernelDoor {
  enum class Kind : uint8_t {
    inbound,  // packets from `scope` to `outside` go to `inside`; packets of `inside` towards `scope` leave as `outside`
    way_out,  // packets of host `inside` (any port) towards endpoint `outside` pass the firewall; nothing is translated
  };
  Kind kind = Kind::inbound;
  Protocol protocol = Protocol::udp;
  Endpoint inside;   // way_out: port 0
  Endpoint outside;  // inbound: ours; equal to `inside` = pinhole only. way_out: the remote's
  Network scope;     // inbound: the remote address(es) it serves; any = everybody. way_out: unused
  bool signalling = false;  // SIP will come this way: its packets must be steered to the queue; its flows outlive the door
  uint16_t zone = 0;        // conntrack zone
  friend bool operator==(const KernelDoor&, const KernelDoor&) = default;
};

// What doors have in common that differ in their ports alone, as most of one host toward one media server do: a KernelDoor
// without ports.
using DoorWay = KernelDoor;
inline DoorWay way_of(const KernelDoor& door) {
  DoorWay way = door;
  way.inside.port = way.outside.port = 0;
  return way;
}
inline KernelDoor door_of(const DoorWay& way, uint16_t inside_port, uint16_t outside_port) {
  KernelDoor door = way;
  door.inside.port = inside_port;
  door.outside.port = outside_port;
  return door;
}
inline std::size_t hash_of(const DoorWay& way, std::size_t seed) {
  const auto kind = static_cast<std::size_t>(way.kind) << 1 | static_cast<std::size_t>(way.signalling);
  const std::size_t fixed = kind << 32 | static_cast<std::size_t>(way.protocol) << 16 | way.zone;
  const std::size_t ends = hash_of(way.outside.address, hash_of(way.inside.address, seed + fixed));
  return way.scope.is_any() ? ends : hash_of(way.scope.address, ends + way.scope.prefix);
}

using DoorHandle = uint64_t;  // names one kernel door of one keeper; 0 is none

// Doors that are closed wait so long for others that will be: the kernel takes away many with less work for each.
inline constexpr std::chrono::milliseconds longest_wait_of_closings{4};

class DoorKeeper {
 public:
  virtual ~DoorKeeper() = default;

  // Makes all doors or none (what was made is undone), before it returns. handles.size() == doors.size(). `sibling`: an
  // open door that will probably be closed together with these, which makes both cheaper; 0, or one that is not open any
  // more, is no error.
  // Errors: EEXIST another expectation covers the endpoint; EBUSY it would cover another; ENOMEM / EMFILE / ENFILE the
  // kernel is full; others as the kernel says.
  virtual std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                                    DoorHandle sibling = 0) = 0;

  // What one open() asks for, and what became of it.
  struct Wish {
    std::span<const KernelDoor> doors;
    std::span<DoorHandle> handles;  // all set, or none
    DoorHandle sibling = 0;
    std::optional<std::expected<void, std::error_code>> result{};  // none: not carried out yet
  };
  // Carries out many, each as if it was alone: what the kernel refuses to one is refused to that one.
  virtual void open_all(std::span<Wish* const> wishes) {
    for (Wish* wish : wishes) wish->result = open(wish->doors, wish->handles, wish->sibling);
  }

  // An open() may let other messages be handled before it comes back (GatheringKeeper). After settle() those that have not
  // come back yet have their handles, or will come back with an error.
  virtual void settle() {}

  // Never fails for the caller: what the kernel has lost already is gone. The handles are void at once, the kernel may be
  // told with the next flush() only; an open() that needs the place tells it before. For doors that are not `signalling`
  // the flows that came through are deleted too (they would live on): about a second after the flush(), later where the kernel's table
  // is so large that looking through it takes more than its share of the time.
  virtual void close(std::span<const DoorHandle> handles) = 0;

  // Tells the kernel what was closed, if close() has not. To be called some milliseconds after that (longest_wait_of_closings).
  virtual void flush() {}

  // May `inside` have this outside endpoint? No: a conntrack of somebody else has it as reply destination or original destination,
  // or a socket of the router holds it. Flows of closed media doors, and those that end at the router without an answer, do
  // not count; nor do those of `inside` (a call's media, while the daemon began anew). Doors of our own are the caller's business.
  virtual bool is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) = 0;
  // The same for anybody, answered by what is known already, and by any thread while another asks the kernel. False: ask is_free().
  virtual bool is_surely_free(Protocol, const Endpoint& /*outside*/) { return false; }

  // Does a conntrack exist that goes through one of these doors? (Existence, not counters: accounting may be off.)
  virtual bool has_flow(std::span<const DoorHandle> handles) = 0;
};

}  // namespace sipalg
