// SPDX-License-Identifier: GPL-2.0-or-later
// Equal parts of one table, each behind a lock of its own and on cache lines of its own: workers that keep to their parts
// write nothing in common. A table of one part has one user and needs no lock.
//
// at() locks for one step. Who has many steps in one part stays there: from the first on he keeps its lock, and lets it go
// before he enters another part. Before he waits for any lock of which the order says that it comes first, he has to let_go().
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace sipalg {

template <typename T> class Sharded {
 public:
  // `make(i)` returns the i-th part.
  template <typename Make> Sharded(uint32_t count, Make&& make) {
    for (uint32_t i = 0; i < count; ++i) parts_.push_back(std::make_unique<Part>(make, i));
    if (count == 1) only_ = &parts_.front()->value;
  }
  uint32_t size() const { return static_cast<uint32_t>(parts_.size()); }
  bool is_alone() const { return only_ != nullptr; }

  // `f` gets the part, locked.
  template <typename F> decltype(auto) at(uint32_t i, F&& f) {
    if (only_ != nullptr) return f(*only_);
    if (stays_in(i)) return f(parts_[i]->value);
    const std::lock_guard held(parts_[i]->mutex);
    return f(parts_[i]->value);
  }
  template <typename F> decltype(auto) at(uint32_t i, F&& f) const {
    if (only_ != nullptr) return f(std::as_const(*only_));
    if (stays_in(i)) return f(std::as_const(parts_[i]->value));
    const std::lock_guard held(parts_[i]->mutex);
    return f(std::as_const(parts_[i]->value));
  }
  template <typename F> void for_each(F&& f) {
    for (uint32_t i = 0; i < size(); ++i) at(i, f);
  }
  template <typename F> void for_each(F&& f) const {
    for (uint32_t i = 0; i < size(); ++i) at(i, f);
  }

  // This thread stays in part `i`, of one table of these at a time.
  class Stay {
   public:
    Stay(const Sharded& all, uint32_t i) {
      if (!all.is_alone()) staying_ = {&all, i, false};
    }
    ~Stay() {
      if (staying_.all != nullptr) staying_.all->let_go();
      staying_.all = nullptr;
    }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
  };
  void let_go() const {
    if (staying_.all == this && std::exchange(staying_.is_locked, false)) parts_[staying_.part]->mutex.unlock();
  }

  // For who holds one over several steps.
  std::unique_lock<std::mutex> lock(uint32_t i) const {
    return is_alone() ? std::unique_lock<std::mutex>() : std::unique_lock(parts_[i]->mutex);
  }
  T& locked(uint32_t i) { return only_ != nullptr ? *only_ : parts_[i]->value; }

 private:
  static constexpr std::size_t line = 128;  // processors fetch two cache lines at a time
  struct alignas(line) Part {
    template <typename Make> Part(Make& make, uint32_t i) : value(make(i)) {}
    mutable std::mutex mutex;
    T value;
  };
  struct Staying {
    const Sharded* all = nullptr;
    uint32_t part = 0;
    bool is_locked = false;
  };
  bool stays_in(uint32_t i) const {
    if (staying_.all != this) return false;
    if (staying_.part != i) return let_go(), false;
    if (!std::exchange(staying_.is_locked, true)) parts_[i]->mutex.lock();
    return true;
  }
  static inline thread_local Staying staying_;
  std::vector<std::unique_ptr<Part>> parts_;
  T* only_ = nullptr;
};

}  // namespace sipalg
