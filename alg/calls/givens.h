// SPDX-License-Identifier: GPL-2.0-or-later
// What was written into a message in place of what a side wrote: remembered as texts, to be given back byte for byte.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "alg/base/compact_list.h"
#include "alg/base/endpoint.h"
#include "alg/base/packed_list.h"
#include "alg/edit/edit_list.h"

namespace sipalg {

// One field that was mapped: what the other side was given, and the bytes the inside had written. A field that comes back
// with the given endpoint gets these bytes. Borrows from whoever wrote it, or from its list until that changes.
struct Given {
  Field field{};
  Endpoint given;           // From: port 0, the host alone; a name whose port was edited: no address
  std::string_view before;  // host[":"port] as the inside wrote it
  std::string_view user;    // of the URI: tells two accounts on one endpoint apart
  friend bool operator==(const Given&, const Given&) = default;
};

struct PackedGiven {
  struct Head {  // the address's bytes follow, then `before`, then `user`
    Field field;
    uint8_t address_size;
    uint16_t port, before_size, user_size;
  };
  static std::size_t size_of(const Given& given);
  static void write(const Given& given, char* at);
  static Given read(const char* at);
  static std::size_t size_at(const char* at);
  static Field field_at(const char* at) { return static_cast<Field>(*at); }
};

// All that a message, or a record over many messages, was given.
class Givens : public PackedList<Given, PackedGiven> {
 public:
  // What one message gave takes the place of what an older one did for the same fields, endpoints and users. Two texts of
  // one endpoint in one message stay two. No more than limits::givens, or what one message gave.
  void remember(std::span<const Given> message);
  // The `nth` (from 0) of the texts that fit: field, endpoint and, when it has one, the user; else any user's.
  std::optional<Given> find(Field field, const Endpoint& endpoint, std::string_view user = {}, std::size_t nth = 0) const;
  bool has(Field field, const Endpoint& endpoint) const;
  std::optional<Given> find_field(Field field) const;  // the first of this field, whatever it is

 private:
  bool ends_with(std::span<const Given> message) const;
  static bool is_replaced(const Given& old, std::span<const Given> message);
  void append(std::span<const Given> message);
};

// A URI of a request that came in, and what became of it: its repetitions, CANCEL and the ACK of a refusal get the same,
// whatever has been learnt since (RFC 3261 sections 9.1 and 17.1.1.3: their Request-URI and Route are the INVITE's).
struct RestoredUri {
  Field field{};  // Request-URI or Route
  std::string_view came, left;
};

class RestoredUris {
 public:
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  std::size_t bytes() const { return texts_.size(); }
  void prefetch() const { items_.prefetch(); }
  RestoredUri operator[](std::size_t i) const;
  void clear();
  void add(const RestoredUri& uri);

 private:
  struct Item {
    Field field;
    uint32_t begin, came_size, left_size;
  };
  CompactList<Item> items_;
  CompactList<char> texts_;
};

}  // namespace sipalg
