// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of a record that come together and stay: one piece of memory of their size, and eight bytes to lead there.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace sipalg {

// Each text up to 65,535 bytes together with those before it; what is longer is cut (datagrams are no longer).
template <std::size_t n> class Texts {
 public:
  Texts() = default;
  explicit Texts(const std::array<std::string_view, n>& texts) {
    Ends ends{};
    std::size_t size = 0;
    for (std::size_t i = 0; i < n; ++i) ends[i] = static_cast<uint16_t>(size = std::min<std::size_t>(size + texts[i].size(), 65'535));
    bytes_ = std::make_unique_for_overwrite<char[]>(sizeof ends + size);
    std::memcpy(bytes_.get(), ends.data(), sizeof ends);
    for (std::size_t i = 0, at = 0; i < n; at = ends[i++]) std::copy_n(texts[i].begin(), ends[i] - at, bytes_.get() + sizeof ends + at);
  }
  std::string_view operator[](std::size_t i) const {
    if (!bytes_) return {};
    Ends ends;
    std::memcpy(ends.data(), bytes_.get(), sizeof ends);
    const std::size_t begin = i == 0 ? 0 : ends[i - 1];
    return {bytes_.get() + sizeof ends + begin, ends[i] - begin};
  }

 private:
  using Ends = std::array<uint16_t, n>;  // where each text ends; stands before them
  std::unique_ptr<char[]> bytes_;
};

}  // namespace sipalg
