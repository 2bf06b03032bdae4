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
  if (!newest_) newest_ = std::make_unique<uint16_t[]>(rings);
  if (pages_.empty()) pages_.resize(pages);
  auto& page = pages_[port / page_size];
  if (!page) page = std::make_unique<Page>();
  ++page->count, ++count_;
  Rest& rest = page->rests[port % page_size];
  rest.inside = inside;
  rest.is_there = true;
  uint16_t& newest = newest_of(inside);
  rest.next = newest == 0 ? port : std::exchange(find(newest)->next, port);
  newest = port;
  return rest;
}

void PortRest::Place::erase(uint16_t port) {
  auto& page = pages_[port / page_size];
  Rest& rest = page->rests[port % page_size];
  uint16_t& newest = newest_of(rest.inside);
  uint16_t before = newest;
  while (find(before)->next != port) before = find(before)->next;
  find(before)->next = rest.next;
  if (newest == port) newest = before == port ? uint16_t{0} : before;
  rest = {};
  if (--page->count == 0) page.reset();
  if (--count_ > 0) return;
  pages_.clear();
  newest_.reset();
}

template <typename F> void PortRest::Place::for_each_like(const Endpoint& inside, F&& f) const {
  if (count_ == 0) return;
  const uint16_t newest = newest_of(inside);
  if (newest == 0) return;
  uint16_t port = newest;
  do {
    port = find(port)->next;
    f(port, *find(port));
  } while (port != newest);
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
  const Instant until = now + limits::port_rest;
  if (std::exchange(rest->until, until) == until) return;  // twice at once: it has this end
  in_order_.push_back({number->second, outside.port, until});
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
