// SPDX-License-Identifier: GPL-2.0-or-later
// A router with masquerade around the engine: fake kernel, fake clock, endpoints that send literal messages.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "alg/doors/gathering_keeper.h"
#include "alg/engine/engine.h"
#include "alg/engine/scratch.h"
#include "test/fake/fake_door_keeper.h"

namespace sipalg::test {

Endpoint ep(std::string_view text);
// LF becomes CRLF; "{length}" becomes the size of the body; the head's first line may follow a line end of the literal.
std::string sip_text(std::string_view text);
// `text` with each "from" replaced by "to".
std::string with(std::string text, std::string_view from, std::string_view to);

class World {
 public:
  struct Setup {
    bool nat = true;
    bool second_opinion = true;
    std::vector<std::string> pbx{}, signalling_peers{};
    bool any_source = false;
  };
  World() : World(Setup{}) {}
  explicit World(const Setup& setup);
  // Of the engine: what SIPALG_TEST_SHARDS says, else one. Nothing may depend on it.
  static uint32_t shards();

  // The inside endpoint sends; what arrives at `remote`.
  std::string out(std::string_view inside, std::string_view remote, std::string_view message);
  // The remote sends to an outside endpoint; what arrives inside, or nothing when nobody lets it in.
  std::optional<std::string> in(std::string_view remote, std::string_view outside, std::string_view message);
  // The same, and it must arrive.
  std::string delivered(std::string_view remote, std::string_view outside, std::string_view message);

  void pass_time(std::chrono::milliseconds time);
  void forget_flows() { flows.clear(); }  // conntrack -F
  void forward(std::string_view outside, std::string_view inside) { forwards[ep(outside)] = ep(inside); }  // DNAT rule

  std::optional<Endpoint> door_of(std::string_view inside) const;   // the outside endpoint of a living inbound door
  bool has_way_out(std::string_view inside_host, std::string_view remote) const;
  Stats stats() const { return engine.stats(); }
  std::size_t doors() const { return kernel.living.size(); }

  // While a message waits for its doors: may one of this flow be handled?
  bool lets_in(std::string_view inside, std::string_view remote) const;

  Scratch& scratch_of_next();  // a message is handled with its own, also while another one waits

  FakeDoorKeeper kernel;
  GatheringKeeper gathered{kernel};
  Engine engine;
  Scratch scratch;
  Instant now{std::chrono::hours{1}};
  Protocol protocol = Protocol::udp;  // what the messages come by: a TCP test has no UDP flow
  Trace trace;       // of the last message
  Verdict verdict;   // its bytes are gone
  Flow flow;
  // Masquerade gives nobody another's door, which in truth it does not know (Verdict::is_misplaced), and the engine sees the flows.
  void keep_hosts_apart();
  std::string uplink = "203.0.113.1";  // what masquerade gives
  std::size_t most_bytes = 65'507;  // what the way out carries

 private:
  struct NatFlow {
    Endpoint inside, outside, remote;
    bool from_inside;
    bool is_new = true;
  };
  Address outside_address(const Endpoint& inside) const;
  static Policy policy_of(const Setup& setup);
  NatFlow& flow_out(const Endpoint& inside, const Endpoint& remote);
  NatFlow* flow_in(const Endpoint& remote, const Endpoint& outside);
  std::string run(std::string_view message, const Flow& taken);
  bool is_door_of_another(const Endpoint& inside, const Endpoint& outside, const Endpoint& remote) const;
  std::optional<Endpoint> mapped_by_door(const Endpoint& inside, const Endpoint& remote) const;

  bool nat_, spares_doors_ = false;
  std::size_t depth_ = 0;               // of messages that are not through yet
  std::deque<Scratch> inner_scratches_;  // of all but the outermost
  std::vector<NatFlow> flows;
  std::map<Endpoint, Endpoint> forwards;
};

}  // namespace sipalg::test
