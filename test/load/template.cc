// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/template.h"

#include <cstring>
#include <optional>
#include <stdexcept>

namespace sipalg::load {
namespace {

struct Mark {
  std::string_view text;
  uint8_t digits;
};
// by Slot; a port has five digits from 10000 on
constexpr std::array<Mark, slots> marks{{{"{call}", 9}, {"{branch}", 10}, {"{cseq}", 7}, {"{media}", 5}}};

uint8_t digits_of(Slot slot) { return marks[static_cast<std::size_t>(slot)].digits; }

std::optional<uint64_t> number_in(std::string_view digits) {
  uint64_t number = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

std::string with_length(std::string_view marked) {
  std::string text(marked);
  for (const Mark& mark : marks) text = replaced(text, mark.text, std::string(mark.digits, '0'));
  const std::size_t head = text.find("\r\n\r\n");
  const std::size_t body = head == std::string::npos ? 0 : text.size() - head - 4;
  return replaced(std::string(marked), "{length}", std::to_string(body));
}

}  // namespace

Template::Template(std::string_view marked) {
  const std::string whole = with_length(marked);
  std::string_view rest = whole;
  while (!rest.empty()) {
    bool is_mark = false;
    for (std::size_t i = 0; i < slots && !is_mark; ++i) {
      if (!rest.starts_with(marks[i].text)) continue;
      places_.push_back({static_cast<uint32_t>(text_.size()), static_cast<Slot>(i)});
      text_.append(marks[i].digits, '0');
      rest.remove_prefix(marks[i].text.size());
      is_mark = true;
    }
    if (is_mark) continue;
    text_ += rest.front();
    rest.remove_prefix(1);
  }
}

Template Template::resized(std::size_t size) const {
  if (!places_.empty() && places_.back().offset + digits_of(places_.back().slot) > size)
    throw std::logic_error("a template can not be cut within its numbers");
  Template other = *this;
  other.text_.resize(size, ' ');
  return other;
}

void Template::write(const Values& values, char* to) const {
  std::memcpy(to, text_.data(), text_.size());
  for (const Place& place : places_) {
    uint64_t number = at(values, place.slot);
    for (char* digit = to + place.offset + digits_of(place.slot); digit-- != to + place.offset; number /= 10)
      *digit = static_cast<char>('0' + number % 10);
  }
}

std::string Template::text(const Values& values) const {
  std::string message(size(), '\0');
  write(values, message.data());
  return message;
}

bool Template::read(std::string_view message, Values& values) const {
  if (message.size() != text_.size()) return false;
  std::array<bool, slots> is_set{};
  std::size_t from = 0;
  for (const Place& place : places_) {
    if (std::memcmp(message.data() + from, text_.data() + from, place.offset - from) != 0) return false;
    const auto number = number_in(message.substr(place.offset, digits_of(place.slot)));
    bool& known = is_set[static_cast<std::size_t>(place.slot)];
    if (!number || (known && at(values, place.slot) != *number)) return false;
    at(values, place.slot) = *number;
    known = true;
    from = place.offset + digits_of(place.slot);
  }
  return std::memcmp(message.data() + from, text_.data() + from, text_.size() - from) == 0;
}

}  // namespace sipalg::load
