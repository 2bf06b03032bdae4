// SPDX-License-Identifier: GPL-2.0-or-later
// Which connection a packet belongs to, and whose time has come. See stream_table.h.
#include "alg/stream/stream_table.h"

#include <set>
#include <unordered_map>

#include "alg/stream/connection.h"

namespace sipalg {

StreamKey StreamKey::of(const Flow& flow) {
  if (flow.begun_by_sender) return {flow.sender, flow.receiver, flow.zone};
  return {flow.receiver, flow.sender, flow.zone};
}

bool StreamWorld::has_room(const Address& host, std::size_t bytes) const {
  const auto share = hosts.find(host);
  return total.bytes + bytes <= limits.held_bytes &&
         (share == hosts.end() ? 0 : share->second.bytes) + bytes <= limits.held_bytes_per_host;
}

bool StreamWorld::may_wait(const Address& host) const {
  const auto share = hosts.find(host);
  return total.packets < limits.waiting_packets && (share == hosts.end() || share->second.packets < limits.waiting_packets_per_host);
}

bool StreamWorld::may_open(const Address& host) const {
  const auto share = hosts.find(host);
  return total.connections < limits.connections && (share == hosts.end() || share->second.connections < limits.connections_per_host);
}

void StreamWorld::note(const Address& host, StreamUse before, StreamUse now) {
  if (before == now) return;
  StreamUse& share = hosts[host];
  for (StreamUse* use : {&total, &share}) {
    use->connections += now.connections - before.connections;
    use->bytes += now.bytes - before.bytes;
    use->packets += now.packets - before.packets;
  }
  if (share == StreamUse{}) hosts.erase(host);
}

struct StreamTable::Rooms {
  struct Entry {
    Connection connection;
    Instant timer{};  // where it stands in `timers`; never later than connection.due()
  };
  using Entries = std::unordered_map<StreamKey, Entry>;

  Entries::iterator make(const StreamKey& key, Connection&& connection) {
    world.note(connection.host(), {}, connection.use());
    return entries.emplace(key, Entry{std::move(connection), {}}).first;
  }
  void erase(Entries::iterator entry);
  void set_timer(Entries::iterator entry);
  template <typename Use> void use(Entries::iterator entry, Use&& use);
  bool opens(const StreamPacket& packet, Entries::iterator known) const;

  StreamWorld world;
  Entries entries;
  std::set<std::pair<Instant, const StreamKey*>> timers;  // keys stand still in the map
};

void StreamTable::Rooms::erase(Entries::iterator entry) {
  Connection& connection = entry->second.connection;
  const StreamUse before = connection.use();
  connection.forget();
  world.note(connection.host(), before, {});
  timers.erase({entry->second.timer, &entry->first});
  entries.erase(entry);
}

// A timer that is due too early costs one look; so it moves only when the connection's time comes before it.
void StreamTable::Rooms::set_timer(Entries::iterator entry) {
  Entry& here = entry->second;
  const Instant due = here.connection.due();
  const std::pair old{here.timer, &entry->first};
  const auto set = timers.find(old);
  if (set != timers.end()) {
    if (here.timer <= due) return;
    timers.erase(set);
  }
  here.timer = due;
  timers.emplace(due, &entry->first);
}

template <typename Use> void StreamTable::Rooms::use(Entries::iterator entry, Use&& use) {
  Connection& connection = entry->second.connection;
  const StreamUse before = connection.use();
  use(connection);
  world.note(connection.host(), before, connection.use());
  if (connection.is_over()) return erase(entry);
  set_timer(entry);
}

// Whether this packet begins a connection: a SYN of a conntrack that is new, or of one that has no living connection.
bool StreamTable::Rooms::opens(const StreamPacket& packet, Entries::iterator known) const {
  const SegmentView& segment = packet.segment;
  if (!segment.has(tcp_syn) || segment.has(tcp_ack)) return false;
  if (known == entries.end()) return true;
  const Connection& connection = known->second.connection;
  if (!connection.is_first_syn(packet)) return false;
  return packet.flow->begun_by_sender && (packet.flow->is_new || connection.may_be_replaced());
}

StreamTable::StreamTable(StreamOutlet& outlet, StreamEditor& editor, StreamStore* store, Stats& stats, StreamLimits limits)
    : rooms_(std::make_unique<Rooms>(Rooms{{outlet, editor, store, stats, limits, {}, {}}, {}, {}})) {}
StreamTable::~StreamTable() = default;

void StreamTable::handle(Ticket ticket, const DatagramView& view, const Flow& flow, uint32_t mtu, Instant now) {
  Rooms& rooms = *rooms_;
  const StreamKey key = StreamKey::of(flow);
  const StreamPacket packet{ticket, view_segment(view), &flow, view.packet.size(), mtu};
  auto entry = rooms.entries.find(key);
  if (rooms.opens(packet, entry)) {
    if (entry != rooms.entries.end()) rooms.erase(entry);
    if (!rooms.world.may_open(key.opener.inside.address)) {
      rooms.world.stats.count(Event::streams_refused_by_bound);
      return rooms.world.outlet.accept(ticket);
    }
    rooms.world.stats.count(Event::streams_followed);
    entry = rooms.make(key, Connection(key, rooms.world));
  }
  if (entry == rooms.entries.end()) return rooms.world.outlet.accept(ticket);
  rooms.use(entry, [&](Connection& connection) { connection.handle(packet, now); });
}

void StreamTable::tick(Instant now) {
  Rooms& rooms = *rooms_;
  while (!rooms.timers.empty() && rooms.timers.begin()->first <= now) {
    const auto entry = rooms.entries.find(*rooms.timers.begin()->second);
    rooms.timers.erase(rooms.timers.begin());
    rooms.use(entry, [&](Connection& connection) {
      if (connection.due() <= now) connection.tick(now);
    });
  }
}

Instant StreamTable::next_timer() const { return rooms_->timers.empty() ? Instant::max() : rooms_->timers.begin()->first; }

void StreamTable::release_all() {
  Rooms& rooms = *rooms_;
  for (auto& [key, entry] : rooms.entries) {
    const StreamUse before = entry.connection.use();
    entry.connection.answer_all();
    rooms.world.note(entry.connection.host(), before, entry.connection.use());
  }
}

bool StreamTable::restore(const StreamKey& key, std::string_view bytes, Instant now) {
  Rooms& rooms = *rooms_;
  if (!rooms.world.may_open(key.opener.inside.address) || rooms.entries.contains(key)) return false;
  Connection connection(key, rooms.world);
  if (!connection.restore(bytes, now)) return false;
  const auto entry = rooms.make(key, std::move(connection));
  rooms.world.stats.count(Event::streams_restored);
  rooms.set_timer(entry);
  return true;
}

void StreamTable::forget(const StreamKey& key) {
  if (const auto entry = rooms_->entries.find(key); entry != rooms_->entries.end()) rooms_->erase(entry);
}

std::size_t StreamTable::size() const { return rooms_->entries.size(); }
std::size_t StreamTable::held_bytes() const { return rooms_->world.total.bytes; }
std::size_t StreamTable::held_packets() const { return rooms_->world.total.packets; }

std::vector<StreamSummary> StreamTable::summaries() const {
  std::vector<StreamSummary> out;
  out.reserve(rooms_->entries.size());
  for (const auto& [key, entry] : rooms_->entries) out.push_back(entry.connection.summary());
  return out;
}

}  // namespace sipalg
