// SPDX-License-Identifier: GPL-2.0-or-later
// Records with stable addresses and ids that are never reused for another record. Places are filled from the lowest up and
// given back from the highest down, so that what a busy hour took is free again after it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

namespace sipalg {

// An id is (generation << 32 | index + 1); 0 is none. An id of an erased record finds nothing, even when its place was
// given to another.
template <typename T> class Slab {
 public:
  using Id = uint64_t;
  Id insert(T value) {
    uint32_t index = 0;
    while (!free_.empty() && free_.top() >= places_.size()) free_.pop();  // given back since
    if (free_.empty()) {
      index = static_cast<uint32_t>(places_.size());
      places_.emplace_back().generation = next_generation_;
    } else {
      index = free_.top();
      free_.pop();
    }
    Place& place = places_[index];
    place.value.emplace(std::move(value));
    ++size_;
    return id_of(place, index);
  }
  T* find(Id id) {
    Place* place = place_of(id);
    return place ? &*place->value : nullptr;
  }
  const T* find(Id id) const { return const_cast<Slab*>(this)->find(id); }
  bool erase(Id id) {
    Place* place = place_of(id);
    if (!place) return false;
    place->value.reset();
    ++place->generation;
    --size_;
    free_.push(static_cast<uint32_t>(id & 0xffffffffU) - 1);
    give_back();
    return true;
  }
  std::size_t size() const { return size_; }
  template <typename F> void for_each(F&& f) const {
    for (uint32_t i = 0; i < places_.size(); ++i)
      if (places_[i].value) f(id_of(places_[i], i), *std::as_const(places_[i].value));
  }
  template <typename F> bool any_of(F&& f) const {
    for (std::size_t i = 0; i < places_.size(); ++i)
      if (places_[i].value && f(*std::as_const(places_[i].value))) return true;
    return false;
  }
  std::vector<Id> ids() const {
    std::vector<Id> out;
    for_each([&](Id id, const T&) { out.push_back(id); });
    return out;
  }

 private:
  struct Place {
    std::optional<T> value;
    uint32_t generation = 0;
  };
  static Id id_of(const Place& place, uint32_t index) { return static_cast<Id>(place.generation) << 32 | (index + 1); }
  Place* place_of(Id id) {
    const auto index = static_cast<uint32_t>(id & 0xffffffffU);
    if (index == 0 || index > places_.size()) return nullptr;
    Place& place = places_[index - 1];
    return place.value && place.generation == static_cast<uint32_t>(id >> 32) ? &place : nullptr;
  }
  // A place that comes again must not have an id of its former self.
  void give_back() {
    for (; !places_.empty() && !places_.back().value; places_.pop_back())
      next_generation_ = std::max(next_generation_, places_.back().generation);
    if (size_ == 0) free_ = {};
  }
  // As a deque, whose blocks hold one of our large records each: finding one was a division and two loads.
  class Places {
   public:
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    Place& operator[](std::size_t index) const { return chunks_[index / chunk][index % chunk]; }
    Place& back() const { return (*this)[size_ - 1]; }
    Place& emplace_back() {
      if (size_ == chunks_.size() * chunk) chunks_.push_back(std::make_unique<Place[]>(chunk));
      return (*this)[size_++] = Place{};
    }
    void pop_back() {  // one chunk is kept for the next
      --size_;
      if (size_ + 2 * chunk <= chunks_.size() * chunk) chunks_.pop_back();
    }

   private:
    static constexpr std::size_t chunk = 64;
    std::vector<std::unique_ptr<Place[]>> chunks_;
    std::size_t size_ = 0;
  };
  Places places_;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free_;  // and some that were given back
  uint32_t next_generation_ = 0;
  std::size_t size_ = 0;
};

}  // namespace sipalg
