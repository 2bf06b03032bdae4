// SPDX-License-Identifier: GPL-2.0-or-later
// See outside_ports.h.
#include "alg/doors/outside_ports.h"

namespace sipalg {

template <typename T> const T* OutsidePorts::AddressMap<T>::find(const Address& address) const {
  const Node* node = heads_[std::hash<Address>{}(address) % heads].load(std::memory_order_acquire);
  while (node != nullptr && node->address != address) node = node->next;
  return node != nullptr ? &node->value : nullptr;
}

template <typename T> T& OutsidePorts::AddressMap<T>::find_or_make(const Address& address, std::mutex& making) {
  if (const T* known = find(address)) return const_cast<T&>(*known);
  const std::lock_guard lock(making);
  if (const T* known = find(address)) return const_cast<T&>(*known);
  nodes_.push_back(std::make_unique<Node>());
  Node& node = *nodes_.back();
  node.address = address;
  node.next = head(address).load(std::memory_order_relaxed);
  head(address).store(&node, std::memory_order_release);
  size_.fetch_add(1, std::memory_order_relaxed);
  return node.value;
}

// None: there are too many addresses.
std::atomic<OutsidePorts::Holder>* OutsidePorts::place(Protocol protocol, const Endpoint& outside) {
  if (books_.size() >= most_books && books_.find(outside.address) == nullptr) return nullptr;
  std::atomic<Page*>& page = books_.find_or_make(outside.address, making_).pages_of[row(protocol)][outside.port / page_ports];
  if (page.load(std::memory_order_acquire) == nullptr) {
    const std::lock_guard lock(making_);
    if (page.load(std::memory_order_relaxed) == nullptr) {
      pages_.push_back(std::make_unique<Page>());
      page.store(pages_.back().get(), std::memory_order_release);
    }
  }
  return &page.load(std::memory_order_acquire)->ports[outside.port % page_ports];
}

OutsidePorts::Holder OutsidePorts::holder(Protocol protocol, const Endpoint& outside) const {
  const Book* book = books_.find(outside.address);
  if (book == nullptr) return books_.size() < most_books ? nobody : several;
  const Page* page = book->pages_of[row(protocol)][outside.port / page_ports].load(std::memory_order_acquire);
  return page != nullptr ? page->ports[outside.port % page_ports].load(std::memory_order_acquire) : nobody;
}

OutsidePorts::Holder OutsidePorts::take(Protocol protocol, const Endpoint& outside, Holder who) {
  std::atomic<Holder>* now = place(protocol, outside);
  if (now == nullptr) return several;
  Holder before = now->load(std::memory_order_acquire);
  if (before == nobody && now->compare_exchange_strong(before, who, std::memory_order_acq_rel)) return who;
  return before;
}

void OutsidePorts::give(Protocol protocol, const Endpoint& outside, Holder from, Holder to) {
  if (std::atomic<Holder>* now = place(protocol, outside)) now->compare_exchange_strong(from, to, std::memory_order_acq_rel);
}

void OutsidePorts::share(Protocol protocol, const Endpoint& outside) {
  if (std::atomic<Holder>* now = place(protocol, outside)) now->store(several, std::memory_order_release);
}

void OutsidePorts::note_host(const Address& host) {
  if (hosts_.size() < most_hosts) hosts_.find_or_make(host, making_);
}

bool OutsidePorts::is_noted_host(const Address& host) const { return hosts_.size() >= most_hosts || hosts_.find(host) != nullptr; }

}  // namespace sipalg
