// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/player.h"

#include <algorithm>

#include "test/load/media.h"

namespace sipalg::load {
namespace {

constexpr int64_t second = 1'000'000'000, patience = 10'000'000, sweep_every = 200'000'000;
constexpr int64_t silence = 2 * second;  // then an exchange is given up
constexpr int64_t most_behind = 50'000'000;

int64_t ns(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

}  // namespace

Player::Player(const Plan& plan, const Flows& flows, Shared& shared)
    : plan_(plan), flows_(flows), shared_(shared), calls_(plan.calls), answered_(plan.calls), packet_(media_packet()) {
  for (std::size_t place = 0; place < plan.calls; ++place) calls_[place].number = plan.first_call + place;
}

void Player::connect() {
  std::vector<SocketEnds> ends;
  for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
    const Ends& own = flows_[flow].inside;
    const auto [host, port] = flows_.inside_target();
    ends.push_back({own.inside_host, own.inside_port, host, port});
  }
  wire_ = plan_.style.transport == "TCP" ? make_tcp_flows(ends) : make_udp_flows(ends);
}

bool Player::once(const Exchange& exchange, double seconds) {
  exchange_ = exchange;
  again_ = false;
  rate_ = 0;
  ring_.clear();
  for (std::size_t place = 0; place < calls_.size(); ++place) ring_.push_back(place);
  const int64_t end = now_ns() + ns(seconds);
  while (!ring_.empty() || in_flight_ > 0) {
    turn(true);
    if (now_ > end || shared_.is_over) return false;
  }
  return true;
}

void Player::repeat(const Exchange& exchange, double seconds, double rate) {
  exchange_ = exchange;
  again_ = true;
  rate_ = rate;
  ring_.clear();
  for (std::size_t place = 0; place < calls_.size(); ++place)
    if (calls_[place].state == State::idle) ring_.push_back(place);
  next_start_ = now_ns();
  const int64_t end = now_ns() + ns(seconds);
  do turn(true);
  while (now_ < end && !shared_.is_over);
}

void Player::finish() {
  const int64_t end = now_ns() + silence + second;
  while ((in_flight_ > 0 || !holding_.empty()) && now_ < end && !shared_.is_over) turn(false);
}

void Player::turn(bool starts) {
  now_ = now_ns();
  end_holding();
  if (starts) start_due();
  wire_->flush();
  wire_->receive(wait_ns(), [this](const Arrival& arrival) { take(arrival); });
  if (now_ >= next_sweep_) give_up_silent();
}

int64_t Player::wait_ns() const {
  int64_t until = now_ + patience;
  if (rate_ > 0 && in_flight_ < plan_.window && !ring_.empty()) until = std::min(until, next_start_);
  if (!holding_.empty()) until = std::min(until, holding_.front().first);
  return std::max<int64_t>(0, until - now_);
}

void Player::start_due() {
  const int64_t interval = rate_ > 0 ? ns(static_cast<double>(exchange_.messages) / rate_) : 0;
  if (rate_ > 0 && next_start_ < now_ - most_behind) next_start_ = now_;
  while (in_flight_ < plan_.window && !ring_.empty() && (rate_ <= 0 || next_start_ <= now_)) {
    const std::size_t place = ring_.front();
    ring_.pop_front();
    start(place);
    next_start_ += interval;
  }
}

void Player::start(std::size_t place) {
  Call& call = calls_[place];
  if (exchange_.first == Kind::invite && call.has_begun) call.number += plan_.calls;
  call.has_begun = true;
  begin(place, exchange_.first);
}

// A new transaction.
void Player::begin(std::size_t place, Kind kind) {
  Call& call = calls_[place];
  call.state = State::busy;
  ++call.cseq;
  call.branch = ++branch_;
  ++in_flight_;
  send(place, kind);
}

void Player::send(std::size_t place, Kind kind) {
  Call& call = calls_[place];
  call.since = now_;
  const Values values{call.number, call.branch, call.cseq, media_port(call.number, flows_.hosts())};
  const std::size_t flow = place % flows_.size();
  if (plan_.rate > 0) shared_.sent_at.set(place, kind, now_ns());
  wire_->put(flow, flows_.written(flow, kind), values);
  Tally::add(shared_.inside.sent);
  if (plan_.rate > 0) wire_->flush();
}

void Player::take(const Arrival& arrival) {
  Values values{};
  const auto kind = flows_.recognise(arrival.flow, arrival.bytes, false, values);
  const std::size_t place = (at(values, Slot::call) - plan_.first_call) % plan_.calls;
  if (!kind || place % flows_.size() != arrival.flow) {
    Tally::add(shared_.inside.wrong);
    return shared_.note("inside got on flow " + std::to_string(arrival.flow) + ":\n" + std::string(arrival.bytes));
  }
  if (plan_.expect == Expect::proxied && *kind == Kind::trying) return;  // the proxy's own
  Tally::add(shared_.inside.arrived);
  if (*kind == Kind::answer) answered_[place] = static_cast<uint16_t>(at(values, Slot::media));
  if (shared_.is_recording.load(std::memory_order_relaxed)) shared_.inward.add(arrival.at - shared_.sent_at.get(place, *kind));
  const Call& call = calls_[place];
  const bool is_due = call.state == State::busy && call.number == at(values, Slot::call) && call.branch == at(values, Slot::branch);
  if (is_due) heard(place, *kind);  // else it was given up
}

void Player::heard(std::size_t place, Kind kind) {
  if (kind == Kind::trying || kind == Kind::ringing) return;
  if (kind != Kind::answer) return end(place, true);
  calls_[place].branch = ++branch_;  // an ACK of a 2xx is a transaction of its own
  send(place, Kind::ack);
  if (!exchange_.whole_call) return end(place, true);
  --in_flight_;
  if (plan_.hold <= 0) return begin(place, Kind::bye);
  calls_[place].state = State::holding;
  holding_.emplace_back(now_ + ns(plan_.hold), place);
}

void Player::end_holding() {
  while (!holding_.empty() && holding_.front().first <= now_) {
    const std::size_t place = holding_.front().second;
    holding_.pop_front();
    begin(place, Kind::bye);
  }
}

void Player::end(std::size_t place, bool well) {
  calls_[place].state = State::idle;
  --in_flight_;
  if (well) ++exchanges_;
  if (again_ || !well) ring_.push_back(place);
}

void Player::give_up_silent() {
  next_sweep_ = now_ + sweep_every;
  for (std::size_t place = 0; place < calls_.size(); ++place) {
    if (calls_[place].state != State::busy || calls_[place].since > now_ - silence) continue;
    ++given_up_;
    end(place, false);
  }
}

void Player::open_media() {
  shared_.wants_media = true;
  std::vector<SocketEnds> ends;
  for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
    const uint16_t port = media_port(calls_[flow].number, flows_.hosts());
    ends.push_back({flows_[flow].inside.inside_host, port, flows_.inside_target().first, answered_[flow]});
  }
  media_ = make_udp_flows(ends);
  for (int i = 0; i < 500 && !shared_.has_media && !shared_.is_over; ++i) wire_->receive(patience, [](const Arrival&) {});
}

void Player::send_media(double seconds) {
  const int64_t end = now_ns() + ns(seconds);
  int64_t last = now_ns();
  for (now_ = last; now_ < end && !shared_.is_over; now_ = now_ns()) {
    for (; media_sent_ < media_settled_ + plan_.window; ++media_sent_) {
      media_->put(media_sent_ % flows_.size(), packet_, {0, media_sent_, 0, 0});
      Tally::add(shared_.inside.sent);
    }
    media_->flush();
    if (take_media(patience)) last = now_;
    if (now_ - last <= silence / 10) continue;
    given_up_ += media_sent_ - media_settled_;
    media_settled_ = media_sent_;
    last = now_;
  }
}

bool Player::take_media(int64_t wait) {
  const uint64_t before = media_settled_;
  media_->receive(wait, [this](const Arrival& arrival) {
    Values values{};
    if (!packet_.read(arrival.bytes, values)) return Tally::add(shared_.inside.wrong);
    Tally::add(shared_.inside.arrived);
    media_settled_ = std::min(media_settled_ + 1, media_sent_);
  });
  return media_settled_ > before;
}

void Player::close_media() {
  while (media_settled_ < media_sent_ && take_media(silence / 10)) {
  }
  shared_.wants_media = false;
}

}  // namespace sipalg::load
