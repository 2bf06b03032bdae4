// SPDX-License-Identifier: GPL-2.0-or-later
// A list of what is seldom read and long kept: each item behind the other in one piece of memory, with no byte that says nothing.
#pragma once
#include <cstddef>
#include <iterator>

#include "alg/base/compact_list.h"

namespace sipalg {

// `Form` tells how an item is written:
//   size_t size_of(const T&)           how many bytes it takes
//   void write(const T&, char* at)
//   T read(const char* at)             may borrow from there, until the list changes
//   size_t size_at(const char* at)     as size_of() told
template <typename T, typename Form> class PackedList {
 public:
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(const char* at) : at_(at) {}
    T operator*() const { return Form::read(at_); }
    Iterator& operator++() {
      at_ += Form::size_at(at_);
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    const char* packed() const { return at_; }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const char* at_ = nullptr;
  };
  Iterator begin() const { return Iterator(bytes_.begin()); }
  Iterator end() const { return Iterator(bytes_.end()); }
  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return static_cast<std::size_t>(std::distance(begin(), end())); }  // walks through it
  std::size_t bytes() const { return bytes_.size(); }
  void prefetch() const { bytes_.prefetch(); }
  void reserve(std::size_t more_bytes) { bytes_.reserve(bytes_.size() + more_bytes); }
  void clear() { bytes_.clear(); }  // keeps its memory
  void add(const T& item) { Form::write(item, bytes_.grow(Form::size_of(item))); }

 private:
  CompactList<char> bytes_;
};

}  // namespace sipalg
