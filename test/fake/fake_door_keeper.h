// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel that remembers what it was asked, refuses when told to, and keeps the kernel's rules on overlaps.
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <new>
#include <set>
#include <vector>

#include "conntrack/door_keeper.h"

namespace sipalg::test {

class FakeDoorKeeper : public DoorKeeper {
 public:
  std::expected<void, std::error_code> open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                            DoorHandle = 0) override {
    if (throw_at_ > operations && throw_at_ <= operations + doors.size()) throw_now();
    std::vector<DoorHandle> made;
    for (std::size_t i = 0; i < doors.size(); ++i) {
      const auto error = refusal(doors[i]);
      if (error) {
        for (DoorHandle h : made) living.erase(h);
        return std::unexpected(std::make_error_code(*error));
      }
      living[++last_] = doors[i];
      made.push_back(last_);
    }
    std::ranges::copy(made, handles.begin());
    opened += doors.size();
    return {};
  }
  void open_all(std::span<Wish* const> wishes) override {
    together.push_back(wishes.size());
    DoorKeeper::open_all(wishes);
  }
  void close(std::span<const DoorHandle> handles) override {
    for (DoorHandle h : handles) {
      if (living.erase(h) != 1) ++closed_twice;
    }
  }
  bool is_free(Protocol, const Endpoint& outside, const Endpoint& inside) override {
    return !taken.contains(outside) && !(has_flow_of_another && has_flow_of_another(outside, inside));
  }
  bool has_flow(std::span<const DoorHandle> handles) override {
    for (DoorHandle h : handles)
      if (const auto it = living.find(h); it != living.end() && with_flow.contains(it->second.outside)) return true;
    return false;
  }

  // The N-th operation from now on (1 = the next door) fails; 0: none does.
  void fail_at(std::size_t n) { fail_at_ = fail_until_ = n == 0 ? 0 : operations + n; }
  // That one and every later one.
  void fail_from(std::size_t n) {
    fail_at(n);
    fail_until_ = SIZE_MAX;
  }

  // The N-th operation from now on throws, and no other.
  void throw_at(std::size_t n) { throw_at_ = operations + n; }

  std::map<DoorHandle, KernelDoor> living;
  std::set<Endpoint> taken;      // outside endpoints somebody else uses
  std::function<bool(const Endpoint& outside, const Endpoint& inside)> has_flow_of_another;  // where the test's flows count
  std::set<Endpoint> with_flow;  // outside endpoints with a conntrack through them
  std::size_t most = 1'000'000;  // nf_conntrack_expect_max
  std::vector<std::size_t> together;  // how many wishes each open_all() had
  std::size_t operations = 0, opened = 0, refused = 0, closed_twice = 0;

 private:
  std::optional<std::errc> refusal(const KernelDoor& door) {
    ++operations;
    if (fail_at_ != 0 && operations >= fail_at_ && operations <= fail_until_) {
      ++refused;
      return std::errc::not_enough_memory;
    }
    if (living.size() >= most) return std::errc::too_many_files_open;
    for (const auto& [handle, other] : living) {
      if (other.kind != door.kind || other.protocol != door.protocol || other.outside != door.outside) continue;
      if (door.kind == KernelDoor::Kind::way_out) {
        if (other.inside.address == door.inside.address) return std::errc::file_exists;
      } else if (other.scope.is_any() || other.scope == door.scope) {
        return std::errc::file_exists;
      } else if (door.scope.is_any()) {
        return std::errc::device_or_resource_busy;
      }
    }
    return std::nullopt;
  }
  [[noreturn]] void throw_now() {
    throw_at_ = 0;
    throw std::bad_alloc();
  }
  DoorHandle last_ = 0;
  std::size_t fail_at_ = 0, fail_until_ = 0, throw_at_ = 0;
};

}  // namespace sipalg::test
