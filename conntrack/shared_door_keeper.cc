// SPDX-License-Identifier: GPL-2.0-or-later
// See shared_door_keeper.h.
#include "conntrack/shared_door_keeper.h"

namespace sipalg {
namespace {

constexpr std::size_t many = 1024;  // so many wait for nobody

} // namespace

std::expected<void, std::error_code> SharedDoorKeeper::open(std::span<const KernelDoor> doors, std::span<DoorHandle> handles,
                                                            DoorHandle sibling) {
  Wish wish{doors, handles, sibling};
  {
    const std::lock_guard wishing(wishing_);
    wishes_.push_back(&wish);
  }
  while (other_work_ && other_work_()) {
  }
  const auto held = lock();
  if (!wish.result) carry_out_wishes();  // else another did
  return *wish.result;
}

void SharedDoorKeeper::settle() {
  const auto held = lock();
  carry_out_wishes();
}

std::unique_lock<std::mutex> SharedDoorKeeper::take() {
  auto held = lock();
  {
    const std::lock_guard wishing(wishing_);
    handed_in_.swap(closings_);
  }
  hand_in_closed();
  return held;
}

void SharedDoorKeeper::hand_in_closed() {
  if (!handed_in_.empty()) keeper_.close(handed_in_);
  handed_in_.clear();
}

// A place that is wished for was closed before, so both are taken at once. When it throws, the wishes that are left are told so:
// each of them waits in an open() of its own.
void SharedDoorKeeper::carry_out_wishes() {
  carried_out_.clear();
  {
    const std::lock_guard wishing(wishing_);
    carried_out_.swap(wishes_);
    handed_in_.swap(closings_);
  }
  try {
    hand_in_closed();
    if (carried_out_.empty()) return;
    keeper_.open_all(carried_out_);
    if (on_work_) on_work_();
  } catch (...) {
    for (Wish* wish : carried_out_)
      if (!wish->result) wish->result = std::unexpected(std::make_error_code(std::errc::not_enough_memory));
    throw;
  }
}

void SharedDoorKeeper::close(std::span<const DoorHandle> handles) {
  const std::lock_guard wishing(wishing_);
  if (closed_ == 0) closed_since_ = Clock::now();
  closed_ += handles.size();
  closings_.insert(closings_.end(), handles.begin(), handles.end());
}

SharedDoorKeeper::Clock::duration SharedDoorKeeper::time_left() {
  const std::lock_guard wishing(wishing_);
  return closed_ >= many ? Clock::duration::zero() : closed_since_ + longest_wait_of_closings - Clock::now();
}

void SharedDoorKeeper::flush() {
  std::size_t flushed = 0;
  {
    const std::lock_guard wishing(wishing_);
    handed_in_.swap(closings_);
    flushed = closed_;
  }
  hand_in_closed();
  keeper_.flush();
  closed_ -= flushed;
}

Instant SharedDoorKeeper::flush_when_due(Instant now) {
  constexpr std::chrono::milliseconds one{1};
  if (closed_.load(std::memory_order_relaxed) == 0) return Instant::max();
  if (const auto left = time_left(); left > Clock::duration::zero()) return now + std::chrono::floor<std::chrono::milliseconds>(left) + one;
  const std::unique_lock held(mutex_, std::try_to_lock);
  if (!held) return now + one;  // others open doors: that is not to be held up
  flush();
  if (on_work_) on_work_();
  return Instant::max();
}

void SharedDoorKeeper::flush_now() {
  const auto held = take();
  flush();
  if (on_work_) on_work_();
}

bool SharedDoorKeeper::is_free(Protocol protocol, const Endpoint& outside, const Endpoint& inside) {
  if (keeper_.is_surely_free(protocol, outside)) return true;
  return ask([&] { return keeper_.is_free(protocol, outside, inside); });
}

bool SharedDoorKeeper::has_flow(std::span<const DoorHandle> handles) {
  return ask([&] { return keeper_.has_flow(handles); });
}

// The answer may want a dump, of which the rest is the tick's.
template <typename Question> bool SharedDoorKeeper::ask(Question&& question) {
  const auto held = take();
  const bool answer = question();
  if (on_work_) on_work_();
  return answer;
}

} // namespace sipalg
