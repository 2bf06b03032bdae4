// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of a record that come together and stay: one piece of memory of their size, and eight bytes to lead there.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <string_view>

namespace sipalg {

// Each text up to 65,535 bytes together with those before it; what is longer is cut (datagrams are no longer).
template <std::size_t n> class Texts {
 public:
  Texts() = default;
  explicit Texts(const std::array<std::string_view, n>& texts) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < n; ++i) ends_[i] = static_cast<uint16_t>(size = std::min<std::size_t>(size + texts[i].size(), 65'535));
    bytes_ = std::make_unique_for_overwrite<char[]>(size);
    for (std::size_t i = 0; i < n; ++i) std::memcpy(&bytes_[begin(i)], texts[i].data(), std::size_t{ends_[i]} - begin(i));
  }
  std::string_view operator[](std::size_t i) const { return {bytes_.get() + begin(i), std::size_t{ends_[i]} - begin(i)}; }

 private:
  std::size_t begin(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }
  std::unique_ptr<char[]> bytes_;
  std::array<uint16_t, n> ends_{};
};

}  // namespace sipalg
