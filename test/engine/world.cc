// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/world.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "alg/base/shard.h"

namespace sipalg::test {
namespace {

struct Depth {
  std::size_t& depth;
  ~Depth() { --depth; }
};

}  // namespace

Endpoint ep(std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  REQUIRE(endpoint);
  return *endpoint;
}

std::string with(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

std::string sip_text(std::string_view text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  std::string out;
  for (char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::size_t blank = out.find("\r\n\r\n");
  if (blank == std::string::npos) return with(out, "{length}", "0") + "\r\n";
  return with(out, "{length}", std::to_string(out.size() - blank - 4));
}

Policy World::policy_of(const Setup& setup) {
  Policy policy;
  policy.inside = {*parse_network("10.0.0.0/24"), *parse_network("fd00::/64")};
  policy.router = {*parse_address("10.0.0.1"), *parse_address("203.0.113.1"), *parse_address("2001:db8::1")};
  policy.second_opinion = setup.second_opinion;
  policy.signalling_from_any = setup.any_source;
  for (const auto& text : setup.pbx) policy.pbx.push_back(*parse_network(text));
  for (const auto& text : setup.signalling_peers) policy.signalling_peers.push_back(*parse_network(text));
  return policy;
}

uint32_t World::shards() {
  const char* wanted = std::getenv("SIPALG_TEST_SHARDS");
  return wanted != nullptr ? static_cast<uint32_t>(std::strtoul(wanted, nullptr, 10)) : 1;
}

World::World(const Setup& setup) : engine(policy_of(setup), gathered, 0, shards()), nat_(setup.nat) {}

Address World::outside_address(const Endpoint& inside) const {
  return *parse_address(inside.address.family() == Family::v6 ? "2001:db8::1" : uplink);
}

std::optional<Endpoint> World::mapped_by_door(const Endpoint& inside, const Endpoint& remote) const {
  for (const auto& [handle, door] : kernel.living) {
    const bool inbound = door.kind == KernelDoor::Kind::inbound;
    if (inbound && door.protocol == protocol && door.inside == inside && door.scope.contains(remote.address)) return door.outside;
  }
  return std::nullopt;
}

void World::keep_hosts_apart() {
  spares_doors_ = true;
  kernel.has_flow_of_another = [this](const Endpoint& outside, const Endpoint& inside) {
    return std::ranges::any_of(flows, [&](const NatFlow& f) { return f.outside == outside && f.inside.address != inside.address; });
  };
}

bool World::is_door_of_another(const Endpoint& inside, const Endpoint& outside, const Endpoint& remote) const {
  return std::ranges::any_of(kernel.living, [&](const auto& entry) {
    const KernelDoor& door = entry.second;
    return door.kind == KernelDoor::Kind::inbound && door.outside == outside && door.inside != inside && door.scope.contains(remote.address);
  });
}

World::NatFlow& World::flow_out(const Endpoint& inside, const Endpoint& remote) {
  for (NatFlow& known : flows)
    if (known.inside == inside && known.remote == remote) return known;
  Endpoint outside = inside;
  if (nat_) {
    outside.address = outside_address(inside);
    if (const auto door = mapped_by_door(inside, remote)) outside = *door;
    const auto taken = [&] {
      return std::ranges::any_of(flows, [&](const NatFlow& f) { return f.outside == outside && f.remote == remote; }) ||
             (spares_doors_ && is_door_of_another(inside, outside, remote));
    };
    while (taken()) outside.port = outside.port < 61000 ? uint16_t{61000} : static_cast<uint16_t>(outside.port + 1);
  }
  flows.push_back({inside, outside, remote, true});
  return flows.back();
}

World::NatFlow* World::flow_in(const Endpoint& remote, const Endpoint& outside) {
  for (NatFlow& known : flows)
    if (known.outside == outside && known.remote == remote) return &known;
  std::optional<Endpoint> inside;
  if (const auto it = forwards.find(outside); it != forwards.end()) inside = it->second;
  for (const auto& [handle, door] : kernel.living) {
    const bool inbound = door.kind == KernelDoor::Kind::inbound;
    if (!inside && inbound && door.protocol == protocol && door.outside == outside && door.scope.contains(remote.address)) inside = door.inside;
  }
  if (!inside) return nullptr;
  flows.push_back({*inside, outside, remote, false});
  return &flows.back();
}

std::string World::run(std::string_view message, const Flow& taken) {
  // an exactly-sized copy: reading one byte too far is seen by the sanitizer
  const std::vector<char> exact(message.begin(), message.end());
  Trace notes;
  Scratch& own = scratch_of_next();
  const FlowEnd& mine = taken.receiver.is_translated() ? taken.receiver : taken.sender;
  if (depth_ == 0) scratch.shard = shard_of(mine.inside.address, shards());  // the worker that the rules would choose
  own.shard = scratch.shard;
  ++depth_;
  const Depth ends{depth_};
  const Verdict decision = engine.handle({{exact.data(), exact.size()}, taken, most_bytes}, now, own, &notes);
  trace = std::move(notes), flow = taken, verdict = decision;
  return verdict.edited() ? std::string(verdict.bytes) : std::string(message);
}

Scratch& World::scratch_of_next() {
  if (depth_ == 0) return scratch;
  if (inner_scratches_.size() < depth_) inner_scratches_.emplace_back();
  return inner_scratches_[depth_ - 1];
}

std::string World::out(std::string_view inside, std::string_view remote, std::string_view message) {
  NatFlow& f = flow_out(ep(inside), ep(remote));
  return run(message, {protocol, {f.inside, f.outside}, {f.remote, f.remote}, 0, f.from_inside, std::exchange(f.is_new, false)});
}

bool World::lets_in(std::string_view inside, std::string_view remote) const {
  return engine.lets_in({protocol, {ep(inside), ep(inside)}, {ep(remote), ep(remote)}, 0, true, false}, scratch.shard);
}

std::optional<std::string> World::in(std::string_view remote, std::string_view outside, std::string_view message) {
  NatFlow* f = flow_in(ep(remote), ep(outside));
  if (!f) return std::nullopt;
  return run(message, {protocol, {f->remote, f->remote}, {f->inside, f->outside}, 0, !f->from_inside, std::exchange(f->is_new, false)});
}

std::string World::delivered(std::string_view remote, std::string_view outside, std::string_view message) {
  const auto arrived = in(remote, outside, message);
  REQUIRE(arrived);
  return *arrived;
}

void World::pass_time(std::chrono::milliseconds time) {
  const Instant end = now + time;
  while (engine.next_timer() <= end) {
    now = std::max(now, engine.next_timer());
    engine.tick(now);
  }
  now = end;
  engine.tick(now);
}

std::optional<Endpoint> World::door_of(std::string_view inside) const {
  for (const auto& [handle, door] : kernel.living)
    if (door.kind == KernelDoor::Kind::inbound && door.inside == ep(inside)) return door.outside;
  return std::nullopt;
}

bool World::has_way_out(std::string_view inside_host, std::string_view remote) const {
  return std::ranges::any_of(kernel.living, [&](const auto& entry) {
    const KernelDoor& door = entry.second;
    return door.kind == KernelDoor::Kind::way_out && to_string(door.inside.address) == inside_host && door.outside == ep(remote);
  });
}

}  // namespace sipalg::test
