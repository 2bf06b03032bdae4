// SPDX-License-Identifier: GPL-2.0-or-later
// Equal parts of one table, each behind a lock of its own and on cache lines of its own: workers that keep to their parts
// write nothing in common. A table of one part has one user and needs no lock.
//
// at() locks for one step. Who has many steps in one part stays there: from the first on he keeps its lock, and lets it go
// before he enters another part. Before he waits for any lock of which the order says that it comes first, he has to let_go().
// Who needs a part to himself from begin to end holds it. Both may be done again within themselves, deeper in the same stack, for
// the same part.
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

  // This thread stays in part `i`, of one table of these at a time. One within another leaves the lock as it found it.
  class Stay {
   public:
    Stay(const Sharded& all, uint32_t i) : all_(all.is_alone() ? nullptr : &all) {
      if (all_ != nullptr && staying_.depth++ == 0) staying_ = {all_, i, 1, false};
      was_locked_ = all_ != nullptr && staying_.is_locked;
    }
    ~Stay() {
      if (all_ == nullptr) return;
      was_locked_ ? all_->keep() : all_->let_go();
      if (--staying_.depth == 0) staying_ = {};
    }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;

   private:
    const Sharded* all_;
    bool was_locked_;
  };
  void let_go() const {
    if (staying_.all == this && std::exchange(staying_.is_locked, false)) parts_[staying_.part]->mutex.unlock();
  }
  // Does this thread stay in that part, and keep its lock? (It is in no other one, then.)
  bool keeps(uint32_t i) const { return staying_.all == this && staying_.part == i && staying_.is_locked; }
  // Does it stay somewhere, and was it to stay there already?
  bool stays_again() const { return staying_.all == this && staying_.depth > 1; }

  // This thread has part `i` for itself.
  class Hold {
   public:
    Hold(Sharded& all, uint32_t i) : all_(all), outer_(std::exchange(held_, this)), part_(i) { take(); }
    ~Hold() {
      give();
      held_ = outer_;
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    uint32_t part() const { return part_; }
    T& operator*() const { return all_.value(part_); }
    T* operator->() const { return &**this; }
    // Not within another.
    void move_to(uint32_t i) {
      if (i == part_) return;
      give();
      part_ = i;
      take();
    }

   private:
    friend class Sharded;
    bool is_mine() const { return !all_.is_alone() && (outer_ == nullptr || &outer_->all_ != &all_); }
    void take() const {
      if (is_mine()) all_.parts_[part_]->mutex.lock();
    }
    void give() const {
      if (is_mine()) all_.parts_[part_]->mutex.unlock();
    }
    Sharded& all_;
    Hold* outer_;
    uint32_t part_;
  };
  // What this thread holds; nullptr: nothing.
  const Hold* held() const { return held_; }

  // Precondition: the table has one part.
  T& only() { return *only_; }

 private:
  static constexpr std::size_t line = 128;  // processors fetch two cache lines at a time
  struct alignas(line) Part {
    template <typename Make> Part(Make& make, uint32_t i) : value(make(i)) {}
    mutable std::mutex mutex;
    T value;
  };
  struct Staying {
    const Sharded* all = nullptr;
    uint32_t part = 0, depth = 0;
    bool is_locked = false;
  };
  T& value(uint32_t i) { return only_ != nullptr ? *only_ : parts_[i]->value; }
  void keep() const {
    if (!std::exchange(staying_.is_locked, true)) parts_[staying_.part]->mutex.lock();
  }
  bool stays_in(uint32_t i) const {
    if (staying_.all != this) return false;
    if (staying_.part != i) return let_go(), false;
    keep();
    return true;
  }
  static inline thread_local Staying staying_;
  static inline thread_local Hold* held_ = nullptr;
  std::vector<std::unique_ptr<Part>> parts_;
  T* only_ = nullptr;
};

}  // namespace sipalg
