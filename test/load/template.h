// SPDX-License-Identifier: GPL-2.0-or-later
// A message whose numbers change and whose length does not: written and checked without building a string.
//
// How it works. The text is made once, with marks for its numbers: "{call}", "{branch}", "{cseq}", "{media}". Each mark
// stands for a fixed count of digits, so a message is a copy of the text with some digits put over it, and what arrives is
// compared piece by piece between the digits: one byte that differs is seen, whatever it is.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sipalg::load {

enum class Slot : uint8_t { call, branch, cseq, media };
inline constexpr std::size_t slots = 4;
using Values = std::array<uint64_t, slots>;  // by Slot

inline uint64_t& at(Values& values, Slot slot) { return values[static_cast<std::size_t>(slot)]; }
inline uint64_t at(const Values& values, Slot slot) { return values[static_cast<std::size_t>(slot)]; }

class Template {
 public:
  Template() = default;
  // {length} is replaced by the size of the body.
  explicit Template(std::string_view marked);
  std::size_t size() const { return text_.size(); }
  std::string_view beginning(std::size_t bytes) const { return std::string_view(text_).substr(0, bytes); }
  // Cut, or filled up with spaces, behind the last number.
  Template resized(std::size_t size) const;

  // size() bytes. Numbers with more digits than their places lose the front ones.
  void write(const Values& values, char* to) const;
  std::string text(const Values& values) const;

  // Is this our text with any numbers? A number that stands at several places must be the same at all of them.
  bool read(std::string_view message, Values& values) const;

 private:
  struct Place {
    uint32_t offset;
    Slot slot;
  };
  std::string text_;
  std::vector<Place> places_;
};

}  // namespace sipalg::load
