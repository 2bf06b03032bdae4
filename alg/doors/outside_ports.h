// SPDX-License-Identifier: GPL-2.0-or-later
// Which part of the door table holds an outside endpoint, where the table has several parts.
//
// How it works. A byte for each port of each outside address: nobody's, some part's, or several parts' (inside hosts of
// different parts that have the same outside endpoint toward different remotes). A part takes what is nobody's by one atomic
// exchange, and keeps it until another asks for it: only who holds that part's lock gives it away. What belongs to several
// stays theirs; claims on it are made one after the other (Doors).
// Bytes come in pages of 256; addresses are never forgotten (a router has few; of more than a bound every port is several
// parts'). An address that somebody behind the router has himself needs no bytes: he alone decides over its ports. It is only
// noted, so that it can be told from those of strangers.
// Looking something up writes nothing.
// Proved by test/unit/outside_ports.cc and test/engine, with several shards.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "alg/base/endpoint.h"

namespace sipalg {

class OutsidePorts {
 public:
  using Holder = uint8_t;  // the part's number + 1
  static constexpr Holder nobody = 0, several = 255;
  static constexpr Holder of(uint32_t part) { return static_cast<Holder>(part + 1); }

  Holder holder(Protocol protocol, const Endpoint& outside) const;
  // Takes it when it is nobody's; whose it is then.
  Holder take(Protocol protocol, const Endpoint& outside, Holder who);
  // While it is `from`'s, by who holds that part's lock; else nothing.
  void give(Protocol protocol, const Endpoint& outside, Holder from, Holder to);
  void share(Protocol protocol, const Endpoint& outside);  // several parts', whosever it is

  // An inside host that is seen outside with its own address.
  void note_host(const Address& host);
  bool is_noted_host(const Address& host) const;

 private:
  static constexpr std::size_t page_ports = 256, pages = 65'536 / page_ports;
  static constexpr std::size_t most_hosts = 262'144;  // beyond, every address is taken for one
  static constexpr std::size_t most_books = 4096;     // 16 MiB; beyond, the ports of an address are several parts'
  struct Page {
    std::array<std::atomic<Holder>, page_ports> ports{};
  };
  struct Book {  // of one address: udp, tcp
    std::array<std::array<std::atomic<Page*>, pages>, 2> pages_of{};
  };
  struct Nothing {};
  // Grows only; reading takes no lock.
  template <typename T> class AddressMap {
   public:
    const T* find(const Address& address) const;
    T& find_or_make(const Address& address, std::mutex& making);
    std::size_t size() const { return size_.load(std::memory_order_relaxed); }

   private:
    static constexpr std::size_t heads = 1024;
    struct Node {
      Address address;
      T value;
      Node* next = nullptr;
    };
    std::atomic<Node*>& head(const Address& address) { return heads_[std::hash<Address>{}(address) % heads]; }
    std::array<std::atomic<Node*>, heads> heads_{};
    std::vector<std::unique_ptr<Node>> nodes_;
    std::atomic<std::size_t> size_ = 0;
  };
  static std::size_t row(Protocol protocol) { return protocol == Protocol::udp ? 0 : 1; }
  std::atomic<Holder>* place(Protocol protocol, const Endpoint& outside);

  std::mutex making_;
  AddressMap<Book> books_;
  AddressMap<Nothing> hosts_;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace sipalg
