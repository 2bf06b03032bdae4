// SPDX-License-Identifier: GPL-2.0-or-later
// Which of an address' 65,536 ports. A std::bitset of them takes 8 kB, and most sets here have a handful, or those of one range:
// what has none of 1,024 in a row takes nothing for them.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <memory>

namespace sipalg {

class PortSet {
 public:
  void set(uint16_t port) {
    auto& page = pages_[port / page_size];
    if (!page) page = std::make_unique<Page>();
    page->set(port % page_size);
  }
  void reset(uint16_t port) {
    if (auto& page = pages_[port / page_size]) page->reset(port % page_size);
  }
  bool test(uint16_t port) const {
    const auto& page = pages_[port / page_size];
    return page && page->test(port % page_size);
  }

 private:
  static constexpr std::size_t page_size = 1024;
  using Page = std::bitset<page_size>;
  std::array<std::unique_ptr<Page>, 65536 / page_size> pages_;
};

} // namespace sipalg
