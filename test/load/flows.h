// SPDX-License-Identifier: GPL-2.0-or-later
// The flows a run plays over, and for each what its messages are where they are written and where they arrive.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "test/load/messages.h"

namespace sipalg::load {

// What a candidate is to deliver.
enum class Expect : uint8_t {
  same,    // the bytes that were sent
  mapped,  // inside addresses replaced by outside ones, and back
  padded,  // the bytes that were sent, cut or filled with spaces to the length that mapping gives
  proxied, // what a proxy with a media relay makes of them: read loosely (proxied.h)
};
std::optional<Expect> parse_expect(std::string_view word);

struct Place {
  std::vector<std::string> inside_hosts;   // flows take them in turn
  std::vector<std::string> mapped_hosts;   // what the outside sees in place of each; as many
  std::string outside_host;
  uint16_t outside_port = 5060;
  uint16_t first_port = 5100;              // flow N has port first_port + N inside, and the same outside
  std::size_t flows = 16;
  std::string edge_inside, edge_outside;   // a proxy on the router that both sides talk to; empty: they talk to each other
};

struct FlowTexts {
  Ends inside, outside;                       // as either side has them
  std::array<Template, kinds> written, due;   // by Kind
};

// Which media port a call has, on both sides; even, from 10000 on, and the same again for its host only after 27,000 calls.
inline uint16_t media_port(uint64_t call, std::size_t hosts) {
  return static_cast<uint16_t>(10000 + 2 * (call / hosts % 27000));
}

class Flows {
 public:
  Flows(const Place& place, const Style& style, Expect expect);
  const Place& place() const { return place_; }
  std::size_t size() const { return texts_.size(); }
  const FlowTexts& operator[](std::size_t flow) const { return texts_[flow]; }
  const Template& written(std::size_t flow, Kind kind) const { return texts_[flow].written[static_cast<std::size_t>(kind)]; }
  std::size_t hosts() const { return place_.inside_hosts.size(); }
  std::optional<std::size_t> flow_of(std::string_view host, uint16_t port) const;  // as the outside sees it

  // Whom the inside sends to, and whom the outside: a host and a port.
  std::pair<std::string, uint16_t> inside_target() const;
  std::pair<std::string, uint16_t> outside_target(std::size_t flow) const;

  // Which message of this flow is it? None: it is not what had to arrive.
  std::optional<Kind> recognise(std::size_t flow, std::string_view message, bool at_outside, Values& values) const;

  // "INV 1400 1413": what begins so and has so many bytes is to have so many; for the candidate that replaces. Of what
  // comes with `like`: all large responses begin alike.
  std::string lengths(Kind like) const;

 private:
  Place place_;
  Expect expect_;
  std::vector<FlowTexts> texts_;
};

}  // namespace sipalg::load
