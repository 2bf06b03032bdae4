// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/doors/port_rest.h"

#include "alg/base/limits.h"

namespace sipalg {
namespace {

constexpr std::size_t dropped_at_once = 2000, few = 1000;

}  // namespace

// --- the ports of an address ---

PortRest::Rest* PortRest::Place::find(uint16_t port) const {
  if (pages_.empty()) return nullptr;
  const auto& page = pages_[port / page_size];
  if (!page) return nullptr;
  Rest& rest = page->rests[port % page_size];
  return rest.is_there ? &rest : nullptr;
}

// Precondition: it is not there.
PortRest::Rest& PortRest::Place::add(uint16_t port, const Endpoint& inside) {
  if (!heads_) heads_ = std::make_unique<uint16_t[]>(heads);
  if (pages_.empty()) pages_.resize(pages);
  auto& page = pages_[port / page_size];
  if (!page) page = std::make_unique<Page>();
  ++page->count, ++count_;
  Rest& rest = page->rests[port % page_size];
  rest.inside = inside;
  rest.is_there = true;
  rest.next = std::exchange(head_of(inside), port);
  return rest;
}

void PortRest::Place::erase(uint16_t port) {
  auto& page = pages_[port / page_size];
  Rest& rest = page->rests[port % page_size];
  uint16_t* at = &head_of(rest.inside);
  while (*at != port) at = &find(*at)->next;
  *at = rest.next;
  rest = {};
  if (--page->count == 0) page.reset();
  if (--count_ > 0) return;
  pages_.clear();
  heads_.reset();
}

template <typename F> void PortRest::Place::for_each_like(const Endpoint& inside, F&& f) const {
  if (count_ == 0) return;
  for (uint16_t port = head_of(inside); port != 0;) {
    const Rest& rest = *find(port);
    f(port, rest);
    port = rest.next;
  }
}

// --- all ---

PortRest::Place* PortRest::find(Protocol protocol, const Address& outside) const {
  const auto number = numbers_.find({protocol, outside});
  return number == numbers_.end() ? nullptr : places_[number->second].get();
}

PortRest::Rest* PortRest::find(Protocol protocol, const Endpoint& outside) const {
  const Place* place = find(protocol, outside.address);
  return place ? place->find(outside.port) : nullptr;
}

void PortRest::erase(Place& place, uint16_t port) {
  place.erase(port);
  --size_;
}

void PortRest::begin(Protocol protocol, const Endpoint& outside, const Endpoint& inside, Instant now) {
  const auto [number, is_new] = numbers_.try_emplace({protocol, outside.address}, static_cast<uint32_t>(places_.size()));
  if (is_new) places_.push_back(std::make_unique<Place>());
  Place& place = *places_[number->second];
  Rest* rest = place.find(outside.port);
  if (rest && rest->inside != inside) {
    erase(place, outside.port);
    rest = nullptr;
  }
  if (!rest) {
    rest = &place.add(outside.port, inside);
    ++size_;
  }
  rest->is_resting = true;
  rest->until = now + limits::port_rest;
  in_order_.push_back({number->second, outside.port, rest->until});
  if (in_order_.size() > 2 * size_ + few) std::erase_if(in_order_, [this](const End& end) { return !is_last(end); });
}

bool PortRest::is_last(const End& end) const {
  const Rest* rest = places_[end.place]->find(end.port);
  return rest && rest->until == end.until;
}

bool PortRest::is_resting(Protocol protocol, const Endpoint& outside, const Endpoint& wanted_by, Instant now) const {
  const Rest* rest = find(protocol, outside);
  return rest && rest->is_resting && rest->until > now && rest->inside != wanted_by;
}

std::optional<uint16_t> PortRest::last_of(Protocol protocol, const Endpoint& inside, const Address& outside, Instant now) const {
  const Place* place = find(protocol, outside);
  if (!place) return {};
  std::optional<std::pair<Instant, uint16_t>> last;
  place->for_each_like(inside, [&](uint16_t port, const Rest& rest) {
    if (!rest.is_resting || rest.inside != inside || rest.until <= now) return;
    if (!last || rest.until > last->first) last = {rest.until, port};
  });
  return last ? std::optional(last->second) : std::nullopt;
}

void PortRest::forget(Protocol protocol, const Endpoint& outside) {
  if (Rest* rest = find(protocol, outside)) rest->is_resting = false;
}

void PortRest::tick(Instant now) {
  for (std::size_t i = 0; i < dropped_at_once && !in_order_.empty() && in_order_.front().until <= now; ++i) {
    const End& end = in_order_.front();
    if (is_last(end)) erase(*places_[end.place], end.port);
    in_order_.pop_front();
  }
}

}  // namespace sipalg
