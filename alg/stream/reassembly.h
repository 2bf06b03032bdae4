// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes of one direction that came before others in front of them.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "alg/stream/sequence_map.h"

namespace sipalg {

// Pieces never overlap; what came first stays, so a second, different copy of a byte changes nothing.
class Reassembly {
 public:
  static constexpr std::size_t bytes_of_piece = 96;  // of the map's node and the string, beside its bytes
  void add(Position begin, std::string_view bytes);
  // Moves what now follows `next` without a gap to the end of `bytes`; returns the new end.
  Position take(Position next, std::string& bytes);
  bool empty() const { return pieces_.empty(); }
  std::size_t bytes() const { return bytes_ + pieces_.size() * bytes_of_piece; }  // of memory, about
  void clear() { pieces_.clear(), bytes_ = 0; }
  // Calls use(begin, end) for each run without a gap, the highest first.
  template <typename Use> void for_each_run(Use&& use) const {
    for (auto piece = pieces_.rbegin(); piece != pieces_.rend();) {
      Position begin = piece->first;
      const Position end = begin + static_cast<Position>(piece->second.size());
      for (++piece; piece != pieces_.rend() && piece->first + static_cast<Position>(piece->second.size()) == begin; ++piece)
        begin = piece->first;
      use(begin, end);
    }
  }

 private:
  std::map<Position, std::string> pieces_;
  std::size_t bytes_ = 0;
};

}  // namespace sipalg
