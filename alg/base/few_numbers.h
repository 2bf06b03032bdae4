// SPDX-License-Identifier: GPL-2.0-or-later
// A list of numbers that mostly has one or none: in eight bytes, and memory of its own from the second on.
#pragma once
#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <utility>

#include "alg/base/compact_list.h"

namespace sipalg {

// Numbers are neither 0 nor have their highest bit: where it is set, the rest is the address of a list (no address has it).
class FewNumbers {
 public:
  using value_type = uint64_t;

  FewNumbers() = default;
  FewNumbers(FewNumbers&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  FewNumbers& operator=(FewNumbers&& other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~FewNumbers() {
    if (has_list()) delete &list();
  }

  const uint64_t* begin() const { return has_list() ? list().begin() : &word_; }
  const uint64_t* end() const { return has_list() ? list().end() : &word_ + (word_ != 0 ? 1 : 0); }
  std::size_t size() const { return static_cast<std::size_t>(end() - begin()); }
  bool empty() const { return begin() == end(); }
  uint64_t back() const { return end()[-1]; }
  bool contains(uint64_t number) const { return std::find(begin(), end(), number) != end(); }
  void push_back(uint64_t number) {
    assert(number != 0 && (number & is_list) == 0);
    if (word_ == 0) {
      word_ = number;
      return;
    }
    if (!has_list()) {
      auto* fresh = new List;
      fresh->push_back(word_);
      word_ = std::bit_cast<uint64_t>(fresh) | is_list;
    }
    list().push_back(number);
  }
  template <typename Iterator> void assign(Iterator first, Iterator last) {
    clear();
    std::for_each(first, last, [this](uint64_t number) { push_back(number); });
  }
  void clear() { has_list() ? list().clear() : void(word_ = 0); }  // keeps its memory
  template <typename F> friend std::size_t erase_if(FewNumbers& numbers, F&& is_it) {
    if (numbers.has_list()) return erase_if(numbers.list(), is_it);
    if (numbers.word_ == 0 || !is_it(numbers.word_)) return 0;
    numbers.word_ = 0;
    return 1;
  }
  friend std::size_t erase(FewNumbers& numbers, uint64_t number) {
    return erase_if(numbers, [number](uint64_t other) { return other == number; });
  }

 private:
  using List = CompactList<uint64_t>;
  static constexpr uint64_t is_list = uint64_t{1} << 63;
  static_assert(sizeof(List*) == sizeof(uint64_t));
  bool has_list() const { return (word_ & is_list) != 0; }
  List& list() const { return *std::bit_cast<List*>(word_ & ~is_list); }
  uint64_t word_ = 0;  // none, the only number, or the address of all of them
};

}  // namespace sipalg
