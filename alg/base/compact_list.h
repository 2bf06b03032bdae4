// SPDX-License-Identifier: GPL-2.0-or-later
// A vector of eight bytes: size and capacity stand before its items. Records have many lists, most of them empty, and there are
// a hundred thousand records; std::vector takes 24 bytes, and twice what it needs.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "alg/base/prefetch.h"

namespace sipalg {

// Iterators are pointers; they and references hold until the list changes.
template <typename T> class CompactList {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  CompactList() = default;
  CompactList(CompactList&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
  CompactList(const CompactList& other) { assign(other.begin(), other.end()); }
  CompactList& operator=(CompactList&& other) noexcept {
    std::swap(head_, other.head_);
    return *this;
  }
  CompactList& operator=(const CompactList& other) {
    if (this != &other) assign(other.begin(), other.end());
    return *this;
  }
  ~CompactList() { release(); }

  std::size_t size() const { return head_ ? head_->size : 0; }
  bool empty() const { return size() == 0; }
  T* begin() { return head_ ? items(head_) : nullptr; }
  T* end() { return begin() + size(); }
  const T* begin() const { return head_ ? items(head_) : nullptr; }
  const T* end() const { return begin() + size(); }
  T& operator[](std::size_t i) { return begin()[i]; }
  const T& operator[](std::size_t i) const { return begin()[i]; }
  T& front() { return *begin(); }
  const T& front() const { return *begin(); }
  T& back() { return end()[-1]; }
  const T& back() const { return end()[-1]; }

  void prefetch() const {  // its first line
    if (head_) sipalg::prefetch(head_, 1);
  }
  void reserve(std::size_t capacity) {
    if (capacity > this->capacity()) move_to(capacity);
  }
  template <typename... Arguments> T& emplace_back(Arguments&&... arguments) {
    if (size() == capacity()) {
      T made(std::forward<Arguments>(arguments)...);  // an argument may stand in the list itself
      move_to(size() + std::max<std::size_t>(size() / 2, 1));
      return *new (&items(head_)[head_->size++]) T(std::move(made));
    }
    return *new (&items(head_)[head_->size++]) T(std::forward<Arguments>(arguments)...);
  }
  void push_back(T item) { emplace_back(std::move(item)); }
  // So many items more, made new: the first of them.
  T* grow(std::size_t more) {
    if (size() + more > capacity()) move_to(size() + std::max(size() / 2, more));
    if (more == 0) return end();
    std::uninitialized_value_construct_n(end(), more);
    head_->size += static_cast<uint32_t>(more);
    return end() - more;
  }
  template <typename Iterator> void assign(Iterator first, Iterator last) {
    clear();
    const auto size = static_cast<std::size_t>(std::distance(first, last));
    if (size == 0) return;
    reserve(size);
    std::uninitialized_copy(first, last, begin());
    head_->size = static_cast<uint32_t>(size);
  }
  void erase(T* first, T* last) {
    T* const new_end = std::move(last, end(), first);
    std::destroy(new_end, end());
    if (head_) head_->size = static_cast<uint32_t>(new_end - begin());
  }
  void erase(T* item) { erase(item, item + 1); }
  void clear() { erase(begin(), end()); }  // keeps its memory

  template <typename F> friend std::size_t erase_if(CompactList& list, F&& is_it) {
    const std::size_t before = list.size();
    list.erase(std::remove_if(list.begin(), list.end(), is_it), list.end());
    return before - list.size();
  }
  friend std::size_t erase(CompactList& list, const T& value) {
    return erase_if(list, [&](const T& item) { return item == value; });
  }

 private:
  struct alignas(std::max(alignof(T), alignof(uint32_t))) Head {
    uint32_t size = 0, capacity = 0;
  };
  static T* items(Head* head) { return std::launder(reinterpret_cast<T*>(head + 1)); }
  static const T* items(const Head* head) { return std::launder(reinterpret_cast<const T*>(head + 1)); }
  std::size_t capacity() const { return head_ ? head_->capacity : 0; }
  void move_to(std::size_t capacity) {
    Head* const fresh = new (::operator new(sizeof(Head) + capacity * sizeof(T))) Head;
    std::uninitialized_move(begin(), end(), items(fresh));
    fresh->size = static_cast<uint32_t>(size());
    fresh->capacity = static_cast<uint32_t>(capacity);
    release();
    head_ = fresh;
  }
  void release() {
    if (!head_) return;
    std::destroy(begin(), end());
    ::operator delete(head_);
    head_ = nullptr;
  }
  Head* head_ = nullptr;
};

}  // namespace sipalg
