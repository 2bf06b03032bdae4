// SPDX-License-Identifier: GPL-2.0-or-later
// Values that many records have in common, each kept once and counted: a record has its number, in four bytes.
#pragma once
#include <cstdint>
#include <functional>

#include "alg/base/chain_index.h"
#include "alg/base/slab.h"

namespace sipalg {

// A value stays, and its number is its own, while somebody holds it.
template <typename T, typename Hash = std::hash<T>> class SharedValues {
 public:
  using Number = uint32_t;

  SharedValues() = default;
  SharedValues(const SharedValues&) = delete;
  SharedValues& operator=(const SharedValues&) = delete;

  Number hold(const T& value) {
    auto id = by_value_.find(Hash{}(value), [&](const Shared& known) { return known.value == value; });
    if (id == 0) {
      const auto [fresh, shared] = values_.add();
      shared.value = value;
      by_value_.insert(fresh);
      id = fresh;
    }
    const Number number = Slab<Shared>::place_of(id);
    ++values_.at(number).holders;
    return number;
  }
  void release(Number number) {
    if (--values_.at(number).holders > 0) return;
    const auto id = values_.id_at(number);
    by_value_.erase(id);
    values_.erase(id);
  }
  // Precondition: somebody holds it.
  const T& operator[](Number number) const { return values_.at(number).value; }
  std::size_t size() const { return values_.size(); }
  template <typename F> bool any_of(F&& f) const {
    return values_.any_of([&](const Shared& shared) { return f(shared.value); });
  }

 private:
  struct Shared {
    T value{};
    uint32_t holders = 0;
    uint32_t next = 0;  // of by_value_
  };
  struct HashOf {
    std::size_t operator()(const Shared& shared) const { return Hash{}(shared.value); }
  };
  Slab<Shared> values_;
  ChainIndex<Shared, &Shared::next, HashOf> by_value_{values_};
};

}  // namespace sipalg
