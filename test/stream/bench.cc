// SPDX-License-Identifier: GPL-2.0-or-later
// See bench.h.
#include "test/stream/bench.h"

#include <stdexcept>

namespace sipalg::test {
namespace {

constexpr TcpEnd::Address inside{{10, 0, 0, 2}, 40'000}, outside{{203, 0, 113, 2}, 5060};

Endpoint endpoint(const TcpEnd::Address& address) { return {Address::v4(address.ip), address.port}; }
const Flow flow_out{Protocol::tcp, {endpoint(inside), endpoint(inside)}, {endpoint(outside), endpoint(outside)}, 0, true, false};
const Flow flow_back{Protocol::tcp, {endpoint(outside), endpoint(outside)}, {endpoint(inside), endpoint(inside)}, 0, false, false};

bool less(const StreamKey& a, const StreamKey& b) {
  return std::tie(a.opener.inside, a.answerer.outside) < std::tie(b.opener.inside, b.answerer.outside);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

}  // namespace

Bench::Bench(const Setup& setup, uint32_t seed) : saved(less), setup_(setup), random_(seed) {
  ends_[0] = std::make_unique<TcpEnd>("A", inside, outside, setup.ends[0], seed + 1, [this](auto packet) { from_end(0, std::move(packet)); });
  ends_[1] = std::make_unique<TcpEnd>("B", outside, inside, setup.ends[1], seed + 2, [this](auto packet) { from_end(1, std::move(packet)); });
  table = std::make_unique<StreamTable>(*this, *this, this, stats, setup_.limits);
}
Bench::~Bench() = default;

std::string Bench::edited(std::string_view message) {
  const std::size_t split = message.find("\r\n\r\n") + 4;
  std::string head(message.substr(0, split)), body(message.substr(split));
  const std::size_t before = body.size();
  for (std::string* part : {&head, &body}) {
    replace_all(*part, "10.0.0.2", "203.0.113.111");
    replace_all(*part, "198.51.100.200", "10.9.9.9");
    replace_all(*part, "192.0.2.10", "192.0.2.99");
  }
  if (body.size() != before) replace_all(head, "Content-Length: " + std::to_string(before), "Content-Length: " + std::to_string(body.size()));
  return head + body;
}

EditedMessage Bench::edit(std::string_view held, std::size_t, const Flow&, const MayBecome& may_become, Instant) {
  ++edits;
  text_ = edited(held);
  return {text_ != held && may_become(text_.size()) == Reason::edited, text_};
}

void Bench::travel(std::function<void()> arrival) {
  const NetworkOptions& network = setup_.network;
  std::uniform_real_distribution<double> chance(0, 1);
  if (network.loss > 0 && chance(random_) < network.loss) return;
  const auto delay = [&] { return network.delay + (network.spread > 0 ? static_cast<int>(random_() % static_cast<unsigned>(network.spread)) : 0); };
  int64_t time = now_ + network.delay;
  if (network.swap > 0 && chance(random_) < network.swap) time += delay();
  if (network.repeat > 0 && chance(random_) < network.repeat) at(now_ + delay(), arrival);
  at(time, std::move(arrival));
}

void Bench::from_end(std::size_t from, std::vector<uint8_t> packet) {
  if (is_lost && is_lost(from, packet)) return;
  travel([this, from, packet = std::move(packet)] { to_table(from, packet); });
}

void Bench::save(const StreamKey& key, std::string_view bytes, bool is_now_guarded) {
  if (is_now_guarded && !is_guarded) throw std::runtime_error("saved as guarded, and is not");
  saved[key] = bytes;
}

void Bench::crash() {
  // what waited is dropped by the kernel with its queue
  ++crashes;
  verdicts += pending_.size();
  pending_.clear();
  table = std::make_unique<StreamTable>(*this, *this, this, stats, setup_.limits);
  is_down_ = setup_.down > 0;
  if (!is_down_) return restore();
  at(now_ + 1 + static_cast<int64_t>(random_() % static_cast<uint64_t>(setup_.down)), [this] { restore(); });
}

void Bench::restore() {
  is_down_ = false;
  for (const auto& [key, bytes] : saved)
    if (!table->restore(key, bytes, instant())) throw std::runtime_error("what was saved is refused");
}

void Bench::to_table(std::size_t from, const std::vector<uint8_t>& packet) {
  if (!is_down_ && setup_.crash > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < setup_.crash) crash();
  if (is_bypassed) return to_end(1 - from, packet);
  if (is_down_) return is_guarded ? void() : to_end(1 - from, packet);
  const Ticket ticket = ++tickets;
  pending_[ticket] = {1 - from, packet};
  const auto view = view_datagram(packet);
  if (!view) throw std::runtime_error("no packet");
  Flow flow = from == 0 ? flow_out : flow_back;
  table->handle(ticket, *view, flow, setup_.network.mtu, instant());
}

void Bench::accept(Ticket ticket) {
  const auto pending = pending_.find(ticket);
  if (pending == pending_.end()) throw std::runtime_error("a second verdict");
  ++verdicts;
  to_end(pending->second.to, std::move(pending->second.packet));
  pending_.erase(pending);
}

void Bench::accept(Ticket ticket, std::span<const uint8_t> packet) {
  const auto pending = pending_.find(ticket);
  if (pending == pending_.end()) throw std::runtime_error("a second verdict");
  if (packet.size() > std::max<std::size_t>(setup_.network.mtu, pending->second.packet.size())) throw std::runtime_error("larger than the MTU");
  ++verdicts, ++rewritten;
  to_end(pending->second.to, {packet.begin(), packet.end()});
  pending_.erase(pending);
}

void Bench::drop(Ticket ticket) {
  if (pending_.erase(ticket) != 1) throw std::runtime_error("a second verdict");
  ++verdicts;
}

void Bench::to_end(std::size_t to, std::vector<uint8_t> packet) {
  if (on_wire) on_wire(to, packet);
  if (packet.size() > setup_.network.path_mtu) return;
  travel([this, to, packet = std::move(packet)] { ends_[to]->receive(packet, now_); });
}

bool Bench::is_quiet() const { return events_.empty() && pending_.empty(); }

bool Bench::run(int64_t until) {
  for (;;) {
    int64_t next = events_.empty() ? INT64_MAX : events_.top().time;
    for (const auto& end : ends_) next = std::min(next, end->next_timer());
    const Instant timer = table->next_timer();
    if (timer != Instant::max() && table->held_packets() > 0) next = std::min(next, timer.time_since_epoch().count());
    if (next == INT64_MAX) return is_quiet();
    if (next > until) return false;
    now_ = std::max(now_, next);
    while (!events_.empty() && events_.top().time <= now_) {
      const auto what = events_.top().what;
      events_.pop();
      what();
    }
    for (const auto& end : ends_)
      if (end->next_timer() <= now_) end->tick(now_);
    table->tick(instant());
  }
}

}  // namespace sipalg::test
