// SPDX-License-Identifier: GPL-2.0-or-later
// The conntracks that go through doors: deleting those of closed doors, and strays, in the background.
#include <algorithm>
#include <bit>
#include <utility>

#include "conntrack/door_flows.h"

namespace sipalg {
namespace {

constexpr std::size_t few_doors = 8;
constexpr std::chrono::milliseconds longest_wait{1000};
constexpr std::size_t flows_per_slice = 64, doors_per_slice = 512; // a tenth of a millisecond, twice of it in cold caches

} // namespace

void DoorFlows::Sweep::mark(Protocol protocol, const Endpoint& endpoint) {
  const std::size_t hash = secret_hash(protocol, endpoint) % (doors.size() * 64);
  doors[hash / 64] |= uint64_t{1} << hash % 64;
}

bool DoorFlows::Sweep::has(Protocol protocol, const Endpoint& endpoint) const {
  const std::size_t hash = secret_hash(protocol, endpoint) % (doors.size() * 64);
  return (doors[hash / 64] >> hash % 64 & 1) != 0;
}

// Each flow that is_closed() or is_stray() says yes to has an endpoint in which it meets a closed or a fresh door.
bool DoorFlows::Sweep::may_be_a_doors(const ConntrackEntry& flow) const {
  const Protocol protocol = flow.original.protocol;
  return has(protocol, flow.original.source) || has(protocol, flow.original.destination) || has(protocol, flow.reply.source) ||
         has(protocol, flow.reply.destination);
}

DoorFlows::Sweep::Sweep(std::size_t expected_doors) : doors(std::bit_ceil(std::max<std::size_t>(1024, expected_doors / 2))) {}

// What is opened or closed is marked at once, so that a sweep begins without looking at all of them.
void DoorFlows::mark(const KernelDoor& door) {
  if (!next_sweep_) next_sweep_ = std::make_shared<Sweep>(last_sweep_doors_); // 32 bits a door, should they be as many again
  next_sweep_->is_about[door.protocol == Protocol::tcp][door.outside.address.family() == Family::v6] = true;
  next_sweep_->mark(door.protocol, door.outside);
  if (door.kind == KernelDoor::Kind::inbound) next_sweep_->mark(door.protocol, door.inside);
}

void DoorFlows::dump(Ctnetlink& conntrack, Sweep& sweep) {
  const auto start = Clock::now();
  const auto keep = [&](const ConntrackEntry& flow) {
    if (sweep.may_be_a_doors(flow)) sweep.found.push_back(flow);
    for (PortScan& scan : sweep.ports)
      if (scan.protocol == flow.original.protocol) scan.add(flow);
  };
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
    for (const Family family : {Family::v4, Family::v6})
      if (sweep.is_about[protocol == Protocol::tcp][family == Family::v6])
        static_cast<void>(conntrack.dump_flows({family, protocol, {}, {}, {}, 0, 0}, keep));
  for (PortScan& scan : sweep.ports) find_sockets(scan);
  sweep.took = Clock::now() - start;
  for (PortScan& scan : sweep.ports) scan.finish(sweep.took / static_cast<Clock::rep>(sweep.ports.size()));
}

std::chrono::milliseconds DoorFlows::pause() const {
  const auto by_share = last_sweep_took_ * dump_share;
  return worker_.has_thread() && fresh_.size() <= few_doors ? by_share : std::max(longest_wait, by_share);
}

void DoorFlows::begin_sweep() {
  if (!next_sweep_) return;
  std::erase_if(in_use_, [now = Clock::now()](const auto& used) { return used.second.until < now; });
  sweep_ = std::exchange(next_sweep_, nullptr);
  sweeping_closed_ = std::exchange(closed_, {});
  sweeping_fresh_ = std::exchange(fresh_, {});
  last_sweep_doors_ = sweeping_closed_.size() + sweeping_fresh_.size();
  for (const auto& [place, used] : ports_)
    if (sweep_->is_about[place.first == Protocol::tcp][place.second.family() == Family::v6])
      sweep_->ports.push_back({place.first, place.second, {}, {}, {}, false, false, {}});
  worker_.run([sweep = sweep_](Ctnetlink& conntrack) { dump(conntrack, *sweep); });
}

std::size_t DoorFlows::judge_slice() {
  auto& found = sweep_->found;
  NetlinkBatch batch;
  for (std::size_t i = 0; i < flows_per_slice && !found.empty(); ++i, found.pop_back())
    if (is_closed(found.back()) || is_stray(found.back())) put_flow_delete(batch, found.back());
  return conntrack_.socket().exchange(batch).done();
}

void DoorFlows::forget_slice() {
  std::size_t left = doors_per_slice;
  for (; left > 0 && !sweeping_closed_.empty(); --left, sweeping_closed_.pop_back())
    if (const auto place = doors_.find(sweeping_closed_.back())) swept(*place);
  for (; left > 0 && !sweeping_fresh_.empty(); --left, sweeping_fresh_.pop_back()) {
    const auto place = doors_.find(sweeping_fresh_.back());
    if (!place || !doors_[*place].is_fresh) continue;
    doors_[*place].is_fresh = false;
    fresh_outside_.erase(secret_hash(doors_.protocol(*place), doors_.outside(*place)), *place); // ways out are not in it
  }
}

std::size_t DoorFlows::go_on() {
  if (!is_busy() || is_waiting()) return 0;
  if (port_scan_) take_ports(*std::exchange(port_scan_, nullptr));
  if (!sweep_) return 0;
  take_ports(sweep_->ports);
  sweep_->ports.clear();
  if (!sweep_->found.empty()) return judge_slice();
  forget_slice();
  if (!sweeping_closed_.empty() || !sweeping_fresh_.empty()) return 0;
  last_sweep_took_ = std::chrono::duration_cast<std::chrono::milliseconds>(sweep_->took);
  sweep_ = nullptr;
  return 0;
}

std::size_t DoorFlows::finish() {
  std::size_t deleted = 0;
  while (is_busy()) {
    worker_.wait();
    deleted += go_on();
  }
  return deleted;
}

} // namespace sipalg
