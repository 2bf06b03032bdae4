// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a plain structure new.
#pragma once
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace sipalg {

// object = T{}, sixteen bytes at a time. For what is larger than a few words GCC writes "rep stos", which on most processors
// takes longer to begin than all of this.
template <typename T> void make_new(T& object) noexcept {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) >= 16);
  static constexpr T fresh{};
  const auto copy = [&object](std::size_t at) {
    std::memcpy(reinterpret_cast<char*>(&object) + at, reinterpret_cast<const char*>(&fresh) + at, 16);
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { (copy(I * 16), ...); }(std::make_index_sequence<sizeof(T) / 16>{});
  if constexpr (sizeof(T) % 16 != 0) copy(sizeof(T) - 16);
}

}  // namespace sipalg
