// SPDX-License-Identifier: GPL-2.0-or-later
// Our table as netlink messages. ruleset_text.cc says the same in nft's language: change both.
#include "conntrack/ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/udp.h>

#include <cstddef>
#include <cstring>

#include "alg/base/shard.h"

namespace sipalg::ruleset {
namespace {

constexpr int original = IP_CT_DIR_ORIGINAL, reply = IP_CT_DIR_REPLY;

// Where things stand in an IP header, and how many registers an address takes.
struct Layout {
  nft::Type address_type;
  uint32_t source, destination, length;
  unsigned words;
  uint32_t ct_source, ct_destination;
};
constexpr Layout layout_v4{nft::ipv4_address, 12, 16, 4, 1, NFT_CT_SRC_IP, NFT_CT_DST_IP};
constexpr Layout layout_v6{nft::ipv6_address, 8, 24, 16, 4, NFT_CT_SRC_IP6, NFT_CT_DST_IP6};
const Layout& layout_of(Family family) { return family == Family::v6 ? layout_v6 : layout_v4; }

// Where in a conntrack signalling shows. The conntrack's ports, not the header's: a header shows only half of a flow whose port
// was translated.
struct Side {
  bool is_source;
  int direction;
  uint32_t port() const { return is_source ? NFT_CT_PROTO_SRC : NFT_CT_PROTO_DST; }
  uint32_t address(const Layout& l) const { return is_source ? l.ct_source : l.ct_destination; }
};
constexpr std::array<Side, 3> sides{{{false, original}, {true, original}, {true, reply}}};

// Builds the table: the place where rules find what they need.
class Builder {
 public:
  Builder(NetlinkBatch& batch, const SteeringOptions& options, Abilities abilities)
      : batch_(batch), options_(options), abilities_(abilities) {}
  void build();

 private:
  bool steers(Slot slot) const { return slot.protocol == Protocol::udp || options_.tcp; }
  nft::Rule rule(const std::string& chain) const { return {options_.table, chain}; }
  void set(const std::string& set_name, uint32_t flags, uint32_t type, uint32_t length);
  void map(const std::string& map_name, uint32_t flags, uint32_t key_type, uint32_t key_length, uint32_t data_type,
           uint32_t data_length, uint32_t size = 0);
  void shared_sets();
  void slot_sets(Slot slot);
  void birth_maps(Slot slot);
  void door_maps(Slot slot);
  void steering();
  void dispatch(const std::string& base, const char* stem, bool steered_only);
  void match(Slot slot);
  void take(Slot slot);
  void timeouts(Slot slot);
  void worker_queues();
  void spread(Slot slot);
  uint16_t births_queue(uint16_t number) const { return options_.births ? static_cast<uint16_t>(number + 1) : number; }
  void births(Slot slot);
  void record(Slot slot, const std::string& map_name, uint32_t address, uint32_t port, uint32_t third);
  void doors();
  void door_rules(bool in, Slot slot);
  void guard(Slot slot);
  void door_rule(bool in, Scope scope, Slot slot);

  NetlinkBatch& batch_;
  const SteeringOptions& options_;
  Abilities abilities_;
  uint32_t next_id_ = 1;
};

void Builder::set(const std::string& set_name, uint32_t flags, uint32_t type, uint32_t length) {
  nft::put_set(batch_, options_.table, {set_name, next_id_++, flags, type, length, 0, 0, 0});
}

void Builder::map(const std::string& map_name, uint32_t flags, uint32_t key_type, uint32_t key_length,
                  uint32_t data_type, uint32_t data_length, uint32_t size) {
  nft::put_set(batch_, options_.table,
               {map_name, next_id_++, flags | NFT_SET_MAP, key_type, key_length, data_type, data_length, size});
}

void Builder::shared_sets() {
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    set(ports_set(protocol), 0, nft::service, 2);
    nft::put_elements(batch_, options_.table, ports_set(protocol),
                      port_elements(protocol == Protocol::udp ? options_.udp_ports : options_.tcp_ports));
  }
  set(signalling_ports, 0, nft::service, 2);  // so short a key makes it a bitmap in the kernel (nft_set_bitmap.c)
  nft::put_elements(batch_, options_.table, signalling_ports, port_elements(all_ports(options_)));
  for (const Family family : families) {
    const Layout& l = layout_of(family);
    set(inside_set(family), NFT_SET_INTERVAL, l.address_type, l.length);
    set(peers_set(family), NFT_SET_INTERVAL, l.address_type, l.length);
    nft::put_elements(batch_, options_.table, inside_set(family), intervals(options_.inside, family));
    nft::put_elements(batch_, options_.table, peers_set(family), intervals(options_.peers, family));
  }
  if (!abilities_.timeouts) return;
  const auto answered = static_cast<uint32_t>(options_.udp_timeout.count());
  // UDP that was answered within its first two seconds and then falls silent stays at the `unreplied` time: the
  // kernel calls a flow a stream only later. So a phone's flow needs its registration's time there too.
  nft::put_udp_timeout(batch_, options_.table, "signalling_inside", answered, answered);
  nft::put_udp_timeout(batch_, options_.table, "signalling_outside",
                       static_cast<uint32_t>(options_.udp_timeout_unanswered.count()), answered);
}

void Builder::slot_sets(Slot slot) {
  const Layout& l = layout_of(slot.family);
  set(endpoints_set(slot), 0, nft::concat({l.address_type, nft::service}), l.length + 4);
  if (slot.protocol == Protocol::tcp) set(resized_set(slot.family), 0, connection_type(slot.family), connection_length(slot.family));
  if (options_.births && steers(slot)) birth_maps(slot);
  door_maps(slot);
}

// The header of an unconfirmed packet leads to its original tuple. 16 registers hold key and half of the data for IPv6:
// two maps, for both families.
void Builder::birth_maps(Slot slot) {
  const Layout& l = layout_of(slot.family);
  const uint32_t key = nft::concat({l.address_type, nft::service, l.address_type, nft::service});
  const uint32_t data = nft::concat({l.address_type, nft::service, nft::mark});
  for (const std::string& map_name : {birth_sources(slot), birth_destinations(slot)})
    map(map_name, NFT_SET_TIMEOUT | NFT_SET_EVAL, key, 2 * l.length + 8, data, l.length + 8, births_size);
  nft::put_set(
      batch_, options_.table,
      {recent_births(slot), next_id_++, NFT_SET_TIMEOUT | NFT_SET_EVAL, key, 2 * l.length + 8, 0, 0, births_size});
}

void Builder::door_maps(Slot slot) {
  const Layout& l = layout_of(slot.family);
  const uint32_t endpoint = nft::concat({l.address_type, nft::service});
  for (const bool in : {true, false})
    for (const Scope scope : scopes)
      map(door_map(in, scope, slot), 0,
          scope == Scope::one ? nft::concat({l.address_type, nft::service, l.address_type}) : endpoint,
          l.length + 4 + (scope == Scope::one ? l.length : 0), endpoint, l.length + 4);
}

// Rules that send each family and protocol to its own chain.
void Builder::dispatch(const std::string& base, const char* stem, bool steered_only) {
  for (const Slot slot : slots)
    if (!steered_only || steers(slot))
      rule(base)
          .meta(NFT_META_NFPROTO, 0)
          .equals_byte(0, slot.family == Family::v6 ? NFPROTO_IPV6 : NFPROTO_IPV4)
          .meta(NFT_META_L4PROTO, 0)
          .equals_byte(0, static_cast<uint8_t>(slot.protocol))
          .verdict(static_cast<uint32_t>(NFT_GOTO), name(stem, slot))
          .put(batch_);
}

void Builder::steering() {
  const nft::Hook hook{NF_INET_POST_ROUTING, options_.manual ? manual_priority : hook_priority, "filter"};
  nft::put_chain(batch_, options_.table, first_look, &hook);
  if (options_.workers > 1 && !options_.manual) worker_queues();
  for (const Slot slot : slots)
    if (steers(slot)) take(slot), match(slot);
  nft::put_chain(batch_, options_.table, "signalling");
  rule("signalling").meta(NFT_META_IIF, 0).equals_number(0, 0).verdict(static_cast<uint32_t>(NFT_RETURN)).put(batch_);
  dispatch("signalling", "match", true);
  put_first_look(batch_, options_);
}

void Builder::match(Slot slot) {
  const std::string chain = name("match", slot), next = name("take", slot);
  nft::put_chain(batch_, options_.table, chain);
  const Layout& l = layout_of(slot.family);
  if (slot.protocol == Protocol::tcp) {  // the guard's chain brought it to the queue already
    nft::Rule guarded = rule(chain);
    load_connection(guarded, slot.family).in_set(0, resized_set(slot.family)).verdict(static_cast<uint32_t>(NFT_RETURN)).put(batch_);
  }
  for (const Side& side : sides)
    rule(chain)
        .ct(side.port(), side.direction, 0)
        .in_set(0, ports_set(slot.protocol))
        .verdict(static_cast<uint32_t>(NFT_GOTO), next)
        .put(batch_);
  for (const Side& side : sides)
    rule(chain)
        .ct(side.address(l), side.direction, 0)
        .ct(side.port(), side.direction, l.words)
        .in_set(0, endpoints_set(slot))
        .verdict(static_cast<uint32_t>(NFT_GOTO), next)
        .put(batch_);
}

nft::Rule& has_status(nft::Rule& rule, uint32_t status) {
  constexpr std::array<uint8_t, 4> none{};
  return rule.ct(NFT_CT_STATUS, -1, 0).mask(0, status).differs(0, none);
}

// Most packets are of flows that are confirmed: one rule sends them on. A flow's first packet has the rest to pass.
void Builder::take(Slot slot) {
  const std::string chain = name("take", slot), next = name("spread", slot);
  nft::put_chain(batch_, options_.table, chain);
  const bool is_spread = slot.protocol == Protocol::udp && options_.workers > 1 && !options_.manual;
  if (is_spread) spread(slot);
  const uint16_t number = queue_of(options_, slot.protocol);
  const auto onward = [&](nft::Rule& r, uint16_t queue) -> nft::Rule& {
    return is_spread ? r.verdict(static_cast<uint32_t>(NFT_GOTO), next) : r.queue(queue, abilities_.native_queue);
  };
  nft::Rule confirmed = rule(chain), first = rule(chain);
  has_status(confirmed, IPS_CONFIRMED);
  (options_.manual ? confirmed.verdict(static_cast<uint32_t>(NFT_RETURN)) : onward(confirmed, number)).put(batch_);
  if (abilities_.timeouts && slot.protocol == Protocol::udp) timeouts(slot);
  if (options_.births) births(slot);
  if (!options_.manual) onward(first, births_queue(number)).put(batch_);
}

// A chain for each worker, and the way there by the hash of an inside host.
void Builder::worker_queues() {
  std::vector<nft::Element> ways;
  for (uint32_t worker = 0; worker < options_.workers; ++worker) {
    const std::string chain = worker_chain(worker);
    const uint16_t number = queue_of(options_, Protocol::udp, worker);
    nft::put_chain(batch_, options_.table, chain);
    nft::Rule confirmed = rule(chain), first = rule(chain);
    if (options_.births) has_status(confirmed, IPS_CONFIRMED).queue(number, abilities_.native_queue).put(batch_);
    first.queue(births_queue(number), abilities_.native_queue).put(batch_);
    nft::Bytes key(sizeof worker);
    std::memcpy(key.data(), &worker, sizeof worker);
    ways.push_back({key, {}, false, worker_chain(worker)});
  }
  nft::put_set(batch_, options_.table, {workers_map, next_id_++, NFT_SET_MAP, nft::mark, 4, NFT_DATA_VERDICT, sizeof(uint32_t), 0});
  nft::put_elements(batch_, options_.table, workers_map, ways);
}

// The inside host, whichever way the flow's packet goes: who began it where his source is translated or he is inside, else who
// he began it with. Whatever worker it reaches, the packet is handled alike (alg/base/shard.h).
void Builder::spread(Slot slot) {
  const std::string chain = name("spread", slot);
  nft::put_chain(batch_, options_.table, chain);
  const Layout& l = layout_of(slot.family);
  const auto go = [&](nft::Rule& r, int direction) {
    r.ct(l.ct_source, direction, 0).hash(0, l.length, shard_seed, options_.workers, 4).go_by(4, workers_map).put(batch_);
  };
  nft::Rule translated = rule(chain), from_inside = rule(chain), to_inside = rule(chain);
  go(has_status(translated, IPS_SRC_NAT), original);
  go(from_inside.ct(l.ct_source, original, 0).in_set(0, inside_set(slot.family)), original);
  go(to_inside, reply);
}

// Only an unconfirmed conntrack can be given a timeout policy.
void Builder::timeouts(Slot slot) {
  const Layout& l = layout_of(slot.family);
  for (const bool outside : {false, true}) {
    nft::Rule r = rule(name("take", slot));
    r.ct(l.ct_source, original, 0)
        .in_set(0, inside_set(slot.family), outside)
        .timeout(outside ? "signalling_outside" : "signalling_inside")
        .put(batch_);
  }
}

nft::Rule& load_header(nft::Rule& rule, const Layout& l) {
  return rule.network(l.source, l.length, 0)
      .transport(0, 2, l.words)
      .network(l.destination, l.length, l.words + 1)
      .transport(2, 2, 2 * l.words + 1);
}

// Writes maps[header] = what this packet's conntrack says. An `update` would leave the data of an older flow with the
// same header, so: delete and add. But what is deleted stays in its hash bucket until the garbage collection, and a
// bucket takes 16: a burst of first packets writes only once in `births_pause`. (tests: "a burst", "the same header")
void Builder::births(Slot slot) {
  const Layout& l = layout_of(slot.family);
  const std::string chain = name("births", slot), recent = recent_births(slot);
  nft::put_chain(batch_, options_.table, chain);
  nft::Rule again = rule(chain), written = rule(chain), first = rule(name("take", slot));
  load_header(again, l).in_set(0, recent).verdict(static_cast<uint32_t>(NFT_RETURN)).put(batch_);
  record(slot, birth_sources(slot), l.ct_source, NFT_CT_PROTO_SRC, NFT_CT_ZONE);
  record(slot, birth_destinations(slot), l.ct_destination, NFT_CT_PROTO_DST, NFT_CT_STATUS);
  load_header(written, l).dynset(NFT_DYNSET_OP_ADD, 0, {}, recent, births_pause.count()).put(batch_);
  first.verdict(static_cast<uint32_t>(NFT_JUMP), chain).put(batch_);
}

void Builder::record(Slot slot, const std::string& map_name, uint32_t address, uint32_t port, uint32_t third) {
  const Layout& l = layout_of(slot.family);
  const unsigned data = 2 * l.words + 2;
  nft::Rule r = rule(name("births", slot));
  load_header(r, l)
      .ct(address, original, data)
      .ct(port, original, data + l.words)
      .ct(third, third == NFT_CT_ZONE ? original : -1, data + l.words + 1)
      .dynset(NFT_DYNSET_OP_DELETE, 0, data, map_name, 0) // a map wants its data named even so
      .dynset(NFT_DYNSET_OP_ADD, 0, data, map_name, births_lifetime.count())
      .put(batch_);
}

void Builder::doors() {
  const nft::Hook in{NF_INET_PRE_ROUTING, doors_in_priority, "nat"};
  const nft::Hook out{NF_INET_POST_ROUTING, doors_out_priority, "nat"};
  nft::put_chain(batch_, options_.table, "doors_in", &in);
  nft::put_chain(batch_, options_.table, "doors_out", &out);
  for (const Slot slot : slots) door_rules(true, slot), door_rules(false, slot);
  dispatch("doors_in", "in", false);
  dispatch("doors_out", "out", false);
}

void Builder::door_rules(bool in, Slot slot) {
  nft::put_chain(batch_, options_.table, name(in ? "in" : "out", slot));
  if (!in) guard(slot);
  for (const Scope scope : scopes) door_rule(in, scope, slot);
}

// What hosts behind us send each other directly keeps its source; what came through a door (hairpin) does not.
void Builder::guard(Slot slot) {
  const Layout& l = layout_of(slot.family);
  rule(name("out", slot))
      .network(l.destination, l.length, 0)
      .in_set(0, inside_set(slot.family))
      .ct(NFT_CT_STATUS, -1, 0)
      .mask(0, IPS_DST_NAT)
      .equals_number(0, 0)
      .verdict(static_cast<uint32_t>(NFT_RETURN))
      .put(batch_);
}

void Builder::door_rule(bool in, Scope scope, Slot slot) {
  const Layout& l = layout_of(slot.family);
  const uint32_t ours = in ? l.destination : l.source, remote = in ? l.source : l.destination;
  nft::Rule r = rule(name(in ? "in" : "out", slot));
  if (scope == Scope::peers) r.network(remote, l.length, 0).in_set(0, peers_set(slot.family));
  r.network(ours, l.length, 0).transport(in ? 2 : 0, 2, l.words);
  if (scope == Scope::one) r.network(remote, l.length, l.words + 1);
  r.map(0, door_map(in, scope, slot), 0).nat(in ? NFT_NAT_DNAT : NFT_NAT_SNAT, slot.family, 0, l.words).put(batch_);
}

void Builder::build() {
  nft::put_table(batch_, options_.table, table_comment);
  shared_sets();
  for (const Slot slot : slots) slot_sets(slot);
  steering();
  doors();
}

} // namespace

uint32_t connection_type(Family family) {
  const Layout& l = layout_of(family);
  return nft::concat({l.address_type, nft::service, l.address_type, nft::service});
}
uint32_t connection_length(Family family) { return 2 * layout_of(family).length + 8; }

nft::Rule& load_connection(nft::Rule& rule, Family family) {
  const Layout& l = layout_of(family);
  return rule.ct(l.ct_source, original, 0)
      .ct(NFT_CT_PROTO_SRC, original, l.words)
      .ct(l.ct_destination, original, l.words + 1)
      .ct(NFT_CT_PROTO_DST, original, 2 * l.words + 1);
}

nft::Bytes connection_key(const Tuple& tuple) {
  nft::Bytes key = endpoint_key(tuple.source);
  nft::append(key, tuple.destination);
  return key;
}

// What begins as RTP does and goes to no port of the service. Compared with each port: that the kernel does in place, for a set
// it calls functions (nft_do_chain), which cost several percent of a packet's way through the router. They are limits::service_ports
// at most, and a rule has room for 128 expressions.
static void put_media_rule(NetlinkBatch& batch, const SteeringOptions& options) {
  nft::Rule media(options.table, first_look);
  media.meta(NFT_META_L4PROTO, 0).equals_byte(0, static_cast<uint8_t>(Protocol::udp)).transport(sizeof(udphdr), 1, 0);
  media.mask_byte(0, 0xc0).equals_byte(0, 0x80).transport(offsetof(udphdr, dest), 2, 0);
  for (const uint16_t port : options.udp_ports) media.differs(0, port_key(port));
  media.verdict(static_cast<uint32_t>(NFT_RETURN)).put(batch);
}

// Three lookups are all that others pay, unless they are signalling.
void put_first_look(NetlinkBatch& batch, const SteeringOptions& options) {
  put_media_rule(batch, options);
  for (const Side& side : sides)
    nft::Rule(options.table, first_look)
        .ct(side.port(), side.direction, 0)
        .in_set(0, signalling_ports)
        .verdict(static_cast<uint32_t>(NFT_GOTO), "signalling")
        .put(batch);
}

void put_table(NetlinkBatch& batch, const SteeringOptions& options, Abilities abilities) {
  Builder(batch, options, abilities).build();
}

} // namespace sipalg::ruleset
