// SPDX-License-Identifier: GPL-2.0-or-later
// Records with stable addresses and ids that are never reused for another record.
#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace sipalg {

// An id is (generation << 32 | index + 1); 0 is none. An id of an erased record finds nothing, even when its place was
// given to another.
template <typename T> class Slab {
 public:
  using Id = uint64_t;
  Id insert(T value) {
    uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<uint32_t>(places_.size());
      places_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
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
    free_.push_back(static_cast<uint32_t>(id & 0xffffffffU) - 1);
    --size_;
    return true;
  }
  std::size_t size() const { return size_; }
  template <typename F> void for_each(F&& f) const {
    for (uint32_t i = 0; i < places_.size(); ++i)
      if (places_[i].value) f(id_of(places_[i], i), *places_[i].value);
  }
  template <typename F> bool any_of(F&& f) const {
    for (const Place& place : places_)
      if (place.value && f(*place.value)) return true;
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
  std::deque<Place> places_;
  std::vector<uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace sipalg
