// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/givens.h"

#include <algorithm>

namespace sipalg {

Given Givens::operator[](std::size_t i) const {
  const Item& item = items_[i];
  const std::string_view texts(texts_);
  return {item.field, item.given, texts.substr(item.begin, item.before_size),
          texts.substr(item.begin + item.before_size, item.user_size)};
}

void Givens::clear() {
  items_.clear();
  texts_.clear();
}

// The texts are parts of a datagram: their sizes fit.
void Givens::add(const Given& given) {
  items_.push_back(Item{given.given, given.field, static_cast<uint16_t>(given.before.size()), static_cast<uint16_t>(given.user.size()),
                    static_cast<uint32_t>(texts_.size())});
  texts_.append(given.before).append(given.user);
}

// What a dialog's messages give is the same again and again.
bool Givens::ends_with(std::span<const Given> message) const {
  if (message.size() > size()) return false;
  for (std::size_t i = 0; i < message.size(); ++i)
    if ((*this)[size() - message.size() + i] != message[i]) return false;
  return true;
}

bool Givens::is_replaced(const Given& old, std::span<const Given> message) {
  return std::ranges::any_of(message, [&](const Given& fresh) {
    return old.field == fresh.field && old.given == fresh.given && old.user == fresh.user;
  });
}

// No more memory than it takes: a record may keep it for long.
void Givens::append(std::span<const Given> message) {
  std::size_t bytes = texts_.size();
  for (const Given& fresh : message) bytes += fresh.before.size() + fresh.user.size();
  items_.reserve(items_.size() + message.size());
  texts_.reserve(bytes);
  for (const Given& fresh : message) add(fresh);
}

void Givens::remember(std::span<const Given> message) {
  if (ends_with(message)) return;
  std::size_t replaced = 0;
  for (std::size_t i = 0; i < size(); ++i) replaced += is_replaced((*this)[i], message);
  if (replaced > 0) {
    Givens rest;
    for (std::size_t i = 0; i < size(); ++i)
      if (const Given old = (*this)[i]; !is_replaced(old, message)) rest.add(old);
    *this = std::move(rest);
  }
  append(message);
}

std::optional<Given> Givens::find(Field field, const Endpoint& endpoint, std::string_view user, std::size_t nth) const {
  std::optional<Given> mine, any;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].field != field || items_[i].given != endpoint) continue;
    any = (*this)[i];
    if (any->user != user) continue;
    mine = any;
    if (nth-- == 0) break;
  }
  return mine ? mine : any;
}

bool Givens::has(Field field, const Endpoint& endpoint) const {
  return std::ranges::any_of(items_, [&](const Item& item) { return item.field == field && item.given == endpoint; });
}

RestoredUri RestoredUris::operator[](std::size_t i) const {
  const Item& item = items_[i];
  const std::string_view texts(texts_);
  return {item.field, texts.substr(item.begin, item.came_size), texts.substr(item.begin + item.came_size, item.left_size)};
}

void RestoredUris::clear() {
  items_.clear();
  texts_.clear();
}

void RestoredUris::add(const RestoredUri& uri) {
  items_.push_back(Item{uri.field, static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(uri.came.size()),
                    static_cast<uint32_t>(uri.left.size())});
  texts_.append(uri.came).append(uri.left);
}

}  // namespace sipalg
