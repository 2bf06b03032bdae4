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
  items_.push_back({given.given, given.field, static_cast<uint16_t>(given.before.size()), static_cast<uint16_t>(given.user.size()),
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

void Givens::remember(std::span<const Given> message) {
  if (ends_with(message)) return;
  Givens all;
  for (std::size_t i = 0; i < size(); ++i) {
    const Given old = (*this)[i];
    const auto replaces = [&](const Given& fresh) {
      return old.field == fresh.field && old.given == fresh.given && old.user == fresh.user;
    };
    if (std::ranges::none_of(message, replaces)) all.add(old);
  }
  for (const Given& fresh : message) all.add(fresh);
  all.items_.shrink_to_fit();  // a record keeps it for long
  all.texts_.shrink_to_fit();
  *this = std::move(all);
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
  items_.push_back({uri.field, static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(uri.came.size()),
                    static_cast<uint32_t>(uri.left.size())});
  texts_.append(uri.came).append(uri.left);
}

}  // namespace sipalg
