// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/givens.h"

#include <algorithm>
#include <cstring>
#include <ranges>

#include "alg/base/limits.h"

namespace sipalg {

namespace {

PackedGiven::Head head_at(const char* at) {
  PackedGiven::Head head;
  std::memcpy(&head, at, sizeof head);
  return head;
}

}  // namespace

std::size_t PackedGiven::size_of(const Given& given) {
  return sizeof(Head) + given.given.address.bytes().size() + given.before.size() + given.user.size();
}

std::size_t PackedGiven::size_at(const char* at) {
  const Head head = head_at(at);
  return sizeof head + head.address_size + head.before_size + head.user_size;
}

// The texts are parts of a datagram: their sizes fit.
void PackedGiven::write(const Given& given, char* at) {
  const auto address = given.given.address.bytes();
  const Head head{given.field, static_cast<uint8_t>(address.size()), given.given.port, static_cast<uint16_t>(given.before.size()),
                  static_cast<uint16_t>(given.user.size())};
  std::memcpy(at, &head, sizeof head);
  at = std::ranges::copy(address, at + sizeof head).out;
  at = std::ranges::copy(given.before, at).out;
  std::ranges::copy(given.user, at);
}

Given PackedGiven::read(const char* at) {
  const Head head = head_at(at);
  const char* const address = at + sizeof head;
  const char* const before = address + head.address_size;
  return {head.field, {Address::from_bytes({reinterpret_cast<const uint8_t*>(address), head.address_size}), head.port},
          {before, head.before_size}, {before + head.before_size, head.user_size}};
}

// What a dialog's messages give is the same again and again.
bool Givens::ends_with(std::span<const Given> message) const {
  const std::size_t known = size();
  if (message.size() > known) return false;
  const auto first = std::next(begin(), static_cast<std::ptrdiff_t>(known - message.size()));
  return std::ranges::equal(std::ranges::subrange(first, end()), message) &&
         std::none_of(begin(), first, [&](const Given& old) { return is_replaced(old, message); });
}

bool Givens::is_replaced(const Given& old, std::span<const Given> message) {
  return std::ranges::any_of(message, [&](const Given& fresh) {
    return old.field == fresh.field && old.given == fresh.given && old.user == fresh.user;
  });
}

// No more memory than it takes: a record may keep it for long.
void Givens::append(std::span<const Given> message) {
  std::size_t bytes = 0;
  for (const Given& fresh : message) bytes += PackedGiven::size_of(fresh);
  reserve(bytes);
  for (const Given& fresh : message) add(fresh);
}

void Givens::remember(std::span<const Given> message) {
  if (ends_with(message)) return;
  const auto is_old = [&](const Given& old) { return is_replaced(old, message); };
  const std::size_t known = size(), room = limits::givens - std::min(limits::givens, message.size());
  if (known > room || std::any_of(begin(), end(), is_old)) {
    Givens rest;
    std::size_t too_many = known - std::min(known, room);
    for (const Given old : *this)
      if (too_many > 0) {
        --too_many;
      } else if (!is_old(old)) {
        rest.add(old);
      }
    *this = std::move(rest);
  }
  append(message);
}

std::optional<Given> Givens::find(Field field, const Endpoint& endpoint, std::string_view user, std::size_t nth) const {
  std::optional<Given> mine, any;
  for (auto at = begin(); at != end(); ++at) {
    if (PackedGiven::field_at(at.packed()) != field) continue;
    const Given given = *at;
    if (given.given != endpoint) continue;
    any = given;
    if (given.user != user) continue;
    mine = given;
    if (nth-- == 0) break;
  }
  return mine ? mine : any;
}

bool Givens::has(Field field, const Endpoint& endpoint) const {
  for (auto at = begin(); at != end(); ++at)
    if (PackedGiven::field_at(at.packed()) == field && (*at).given == endpoint) return true;
  return false;
}

std::optional<Given> Givens::find_field(Field field) const {
  for (auto at = begin(); at != end(); ++at)
    if (PackedGiven::field_at(at.packed()) == field) return *at;
  return std::nullopt;
}

RestoredUri RestoredUris::operator[](std::size_t i) const {
  const Item& item = items_[i];
  const std::string_view texts(texts_.begin(), texts_.size());
  return {item.field, texts.substr(item.begin, item.came_size), texts.substr(item.begin + item.came_size, item.left_size)};
}

void RestoredUris::clear() {
  items_.clear();
  texts_.clear();
}

void RestoredUris::add(const RestoredUri& uri) {
  items_.push_back(Item{uri.field, static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(uri.came.size()),
                    static_cast<uint32_t>(uri.left.size())});
  std::ranges::copy(uri.left, std::ranges::copy(uri.came, texts_.grow(uri.came.size() + uri.left.size())).out);
}

}  // namespace sipalg
