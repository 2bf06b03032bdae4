// SPDX-License-Identifier: GPL-2.0-or-later
// IP fragments of a capture back to whole packets, as the router's defragmentation would do before us.
//
// How it works. Fragments of one packet share addresses, protocol and identification. Pieces are kept until they cover
// everything up to the last one. Overlapping pieces end the packet (RFC 5722; IPv4 likewise). Bounded: so many packets
// at once, so many seconds.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "alg/base/endpoint.h"
#include "alg/base/instant.h"

namespace sipalg {

// One fragment of a packet. Borrows `bytes`.
struct IpFragment {
  using Key = std::tuple<Address, Address, uint32_t, uint8_t>;  // source, destination, identification, protocol
  Key key;
  std::vector<uint8_t> head;  // the headers a whole packet would have, but for its length
  uint32_t offset = 0;
  bool is_last = false;
  std::span<const uint8_t> bytes;
};
// None: no fragment.
std::optional<IpFragment> read_fragment(std::span<const uint8_t> packet);

class Reassembly {
 public:
  // A packet that is whole: as given, or with this fragment (then it borrows from here until the next call).
  // None: more is to come, or the packet is broken.
  std::optional<std::span<const uint8_t>> add(std::span<const uint8_t> packet, Instant now);
  bool last_was_fragmented() const { return fragmented_; }
  std::size_t unfinished() const { return given_up_ + waiting_.size(); }

 private:
  struct Waiting {
    std::vector<uint8_t> head;
    std::map<uint32_t, std::vector<uint8_t>> pieces;  // by offset, none overlaps another
    std::optional<uint32_t> size;                     // known from the last piece
    Instant since;
  };
  static bool insert(Waiting& waiting, const IpFragment& fragment);
  static bool is_complete(const Waiting& waiting);
  bool assemble(const Waiting& waiting);
  void make_room(Instant now);

  std::map<IpFragment::Key, Waiting> waiting_;
  std::vector<uint8_t> whole_;
  std::size_t given_up_ = 0;
  bool fragmented_ = false;
};

}  // namespace sipalg
