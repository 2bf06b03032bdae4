// SPDX-License-Identifier: GPL-2.0-or-later
// See model_tcp.h.
#include "test/stream/model_tcp.h"

#include <algorithm>

#include "test/stream/model_tcp_segment.h"

namespace sipalg::test {
namespace {

constexpr uint8_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16;

}  // namespace

TcpEnd::TcpEnd(std::string name, Address local, Address remote, TcpOptions options, uint32_t seed, Send send)
    : name_(std::move(name)), local_(local), remote_(remote), options_(options), random_(seed), send_(std::move(send)),
      iss_(static_cast<uint32_t>(random_())) {
  if (random_() % 3 == 0) iss_ = 0xffffff00U + static_cast<uint32_t>(random_() % 256);  // wraps soon
  advertised_ = static_cast<int64_t>(std::min<std::size_t>(options_.receive_buffer, 65'535));
}

int64_t TcpEnd::window() const {
  const auto room = static_cast<int64_t>(options_.receive_buffer) - static_cast<int64_t>(unread_);
  return std::max(rcv_nxt_ + room, advertised_);  // never taken back
}

void TcpEnd::send_ack() { transmit(ack, std::max(nxt_, max_), {}); }

void TcpEnd::connect(int64_t now) {
  now_ = now;
  connecting_ = true;
  timer_ = now + 1000;
  transmit(syn, -1, {});
}

void TcpEnd::write(std::string_view bytes, int64_t now) {
  now_ = now;
  out_ += bytes;
  end_ += static_cast<int64_t>(bytes.size());
  if (established_) push(now);
}

void TcpEnd::close(int64_t now) {
  now_ = now;
  fin_queued_ = true;
  if (established_) push(now);
}

void TcpEnd::keepalive(int64_t now) {
  now_ = now;
  if (!established_ || flight() != 0 || reset_) return;
  transmit(ack, nxt_ - 1, random_() % 2 == 0 ? std::string_view() : std::string_view("k"));
}

void TcpEnd::abort(int64_t now) {
  now_ = now;
  reset_ = true;
  transmit(rst | ack, nxt_, {});
}

void TcpEnd::send_data(int64_t begin, std::size_t size, int64_t now) {
  size = std::min(size, static_cast<std::size_t>(std::max<int64_t>(end_ - begin, 0)));
  const int64_t until = begin + static_cast<int64_t>(size);
  const bool last = fin_queued_ && until == end_;
  if (size != 0) ++segments_;
  if (begin < max_) ++retransmissions_;
  if (size != 0 && size < peer_mss_) small_until_ = until;
  nxt_ = std::max(nxt_, until + (last ? 1 : 0));
  max_ = std::max(max_, nxt_);
  transmit(static_cast<uint8_t>(ack | (size != 0 ? psh : 0) | (last ? fin : 0)), begin, std::string_view(out_).substr(static_cast<std::size_t>(begin), size));
  if (timer_ < 0) timer_ = now + rto();
}

// RFC 9293 section 3.8.6: what window, congestion and Nagle let go.
void TcpEnd::push(int64_t now) {
  for (;;) {
    if (nxt_ > end_) break;  // FIN sent
    const int64_t usable = std::min(right_edge_, una_ + static_cast<int64_t>(congestion_)) - nxt_;
    const int64_t left = end_ - nxt_;
    if (left == 0) {
      if (fin_queued_) send_data(nxt_, 0, now);
      break;
    }
    const auto size = static_cast<std::size_t>(std::min<int64_t>({left, static_cast<int64_t>(peer_mss_), usable}));
    if (usable <= 0) break;
    if (size < peer_mss_ && static_cast<int64_t>(size) < left && flight() > 0) break;  // silly window
    if (size < peer_mss_ && flight() > 0 && !fin_queued_) {
      if (options_.nagle == Nagle::classic) break;
      if (options_.nagle == Nagle::small_outstanding && small_until_ > una_) break;
    }
    send_data(nxt_, size, now);
  }
  const bool blocked = flight() == 0 && nxt_ < end_;
  if (blocked && persist_ < 0) persist_ = now + rto();
  if (!blocked) persist_ = -1;
}

// Cuts what is repeated elsewhere than it was cut before.
void TcpEnd::retransmit(int64_t now) {
  int64_t begin = una_;
  for (auto [b, e] : sacked_)
    if (b <= begin && begin < e) begin = e;
  if (begin >= max_) begin = una_;
  std::size_t size = std::min<std::size_t>(peer_mss_, 1 + random_() % (2 * peer_mss_));
  if (const auto next = sacked_.upper_bound(begin); next != sacked_.end() && options_.sack) size = std::min(size, static_cast<std::size_t>(next->first - begin));
  size = std::min(size, static_cast<std::size_t>(std::max<int64_t>(max_ - begin, 0)));
  send_data(begin, size, now);
}

void TcpEnd::tick(int64_t now) {
  now_ = now;
  if (reset_) return;
  if (delayed_ >= 0 && now >= delayed_) delayed_ = -1, send_ack();
  if (reading_ >= 0 && now >= reading_) reading_ = -1, read_some(now);
  if (persist_ >= 0 && now >= persist_) {
    backoff_ = std::min(backoff_ + 1, 8U);
    persist_ = now + rto();
    if (options_.probes_with_new_byte && nxt_ < end_) transmit(ack, nxt_, std::string_view(out_).substr(static_cast<std::size_t>(nxt_), 1)), max_ = std::max(max_, nxt_ + 1);
    else transmit(ack, una_ - 1, {});
  }
  if (timer_ < 0 || now < timer_) return;
  backoff_ = std::min(backoff_ + 1, 8U);
  timer_ = now + rto();
  if (connecting_ && !established_) return transmit(syn_received_ ? syn | ack : syn, -1, {});
  if (una_ >= max_) return void(timer_ = -1);
  threshold_ = std::max(static_cast<double>(flight()) / 2, 2.0 * static_cast<double>(peer_mss_));
  congestion_ = static_cast<double>(peer_mss_);
  sacked_.clear();  // RFC 2018 section 8
  duplicates_ = 0;
  recover_ = -1;
  nxt_ = std::min(una_, end_);
  if (random_() % 2 == 0 || nxt_ == end_) retransmit(now);
  else push(now);
  if (flight() == 0) retransmit(now);
}

int64_t TcpEnd::next_timer() const {
  int64_t next = INT64_MAX;
  if (reset_) return next;
  for (int64_t t : {timer_, persist_, delayed_, reading_})
    if (t >= 0) next = std::min(next, t);
  return next;
}

void TcpEnd::on_syn(const Parsed& in, int64_t now) {
  if (established_ || (syn_received_ && in.sequence != irs_)) return send_ack();
  irs_ = in.sequence;
  syn_received_ = true;
  peer_mss_ = std::min<std::size_t>(in.mss == 0 ? 536 : in.mss, options_.mss) - (options_.timestamps && in.has_timestamps ? 12 : 0);
  peer_sack_ = in.sack_permitted, peer_timestamps_ = in.has_timestamps;
  if (in.scale >= 0 && options_.window_scale >= 0) peer_scale_ = in.scale, my_scale_ = options_.window_scale;
  congestion_ = 10.0 * static_cast<double>(peer_mss_);
  if (in.has_timestamps) ts_recent_ = in.ts_value;
  if ((in.flags & ack) == 0) {
    if (!connecting_) timer_ = now + 1000;
    connecting_ = true;
    return transmit(syn | ack, -1, {});
  }
  right_edge_ = in.window;
  established_ = true;
  timer_ = -1, backoff_ = 0;
  send_ack();
  push(now);
}

bool TcpEnd::is_acceptable(const Parsed& in) const {
  const int64_t length = static_cast<int64_t>(in.payload.size()) + ((in.flags & fin) != 0 ? 1 : 0);
  const int64_t next = rcv_nxt_ + (fin_received_ ? 1 : 0), edge = std::max(advertised_, next);
  if (length == 0) return in.begin == next || (in.begin >= next && in.begin < edge);
  return in.begin + length > next && in.begin < std::max(edge, next + (edge == next ? 0 : 1));
}

void TcpEnd::on_sack(const Parsed& in) {
  for (auto [b, e] : in.sack) {
    const int64_t begin = una_ + static_cast<int32_t>(b - (iss_ + 1 + static_cast<uint32_t>(una_)));
    const int64_t until = una_ + static_cast<int32_t>(e - (iss_ + 1 + static_cast<uint32_t>(una_)));
    if (until > max_) fail(name_ + ": SACK of what was never sent");
    if (begin > una_ && begin < until) sacked_[begin] = std::max(sacked_[begin], until);
  }
  while (!sacked_.empty() && sacked_.begin()->second <= una_) sacked_.erase(sacked_.begin());
}

void TcpEnd::on_ack(const Parsed& in, int64_t now) {
  if (!established_) established_ = true, timer_ = -1, backoff_ = 0;
  if (in.until > max_) fail(name_ + ": acknowledged what was never sent");
  if (in.until < una_) return;
  const bool newer = in.begin > wl_sequence_ || (in.begin == wl_sequence_ && in.until >= wl_ack_) || in.until > una_;
  const bool same_window = in.until + in.window == right_edge_;
  if (newer) right_edge_ = in.until + in.window, wl_sequence_ = in.begin, wl_ack_ = in.until;
  const auto mss = static_cast<double>(peer_mss_);
  if (in.until > una_) {
    una_ = in.until;
    nxt_ = std::max(nxt_, una_);
    backoff_ = 0, duplicates_ = 0;
    on_sack(in);
    timer_ = una_ < max_ ? now + rto() : -1;
    if (recover_ >= 0 && una_ < recover_) return retransmit(now);  // RFC 6582: a partial acknowledgement
    if (recover_ >= 0) recover_ = -1, congestion_ = threshold_;
    congestion_ += congestion_ < threshold_ ? mss : mss * mss / congestion_;
    return;
  }
  on_sack(in);
  if (una_ >= max_ || !in.payload.empty() || !same_window || (in.flags & fin) != 0) return;
  if (peer_sack_ && options_.sack && sacked_.empty()) return;  // with SACK only SACK tells of loss (RFC 6675)
  if (++duplicates_ == 3 && recover_ < 0) {
    recover_ = max_;
    threshold_ = std::max(static_cast<double>(flight()) / 2, 2 * mss);
    congestion_ = threshold_ + 3 * mss;
    retransmit(now);
  }
}

void TcpEnd::on_data(const Parsed& in, int64_t now) {
  std::string_view bytes = in.payload;
  int64_t begin = in.begin;
  const int64_t until = begin + static_cast<int64_t>(bytes.size());
  if ((in.flags & fin) != 0) {
    if (fin_at_ >= 0 && fin_at_ != until) fail(name_ + ": FIN at two places");
    fin_at_ = until;
  }
  if (until > advertised_) bytes.remove_suffix(std::min(bytes.size(), static_cast<std::size_t>(until - advertised_)));
  if (begin < rcv_nxt_) {
    bytes.remove_prefix(std::min(bytes.size(), static_cast<std::size_t>(rcv_nxt_ - begin)));
    begin = rcv_nxt_;
  }
  const bool in_order = begin == rcv_nxt_ && disordered_.empty();
  for (std::size_t i = 0; i < bytes.size();) {  // pieces without overlap
    const int64_t at = begin + static_cast<int64_t>(i);
    auto next = disordered_.upper_bound(at);
    if (next != disordered_.begin()) {
      const auto before = std::prev(next);
      const int64_t covered = before->first + static_cast<int64_t>(before->second.size());
      if (covered > at) {
        i += static_cast<std::size_t>(covered - at);
        continue;
      }
    }
    const std::size_t size = next == disordered_.end() ? bytes.size() - i : std::min(bytes.size() - i, static_cast<std::size_t>(next->first - at));
    disordered_[at] = bytes.substr(i, size);
    i += size;
  }
  last_block_ = begin;
  const int64_t before = rcv_nxt_;
  deliver(now);
  if (fin_received_ || !in_order || rcv_nxt_ == before || !options_.delayed_ack || ++unacknowledged_ >= 2) return send_ack();
  if (delayed_ < 0) delayed_ = now + 40;
}

void TcpEnd::deliver(int64_t now) {
  while (!disordered_.empty() && disordered_.begin()->first == rcv_nxt_) {
    const std::string& bytes = disordered_.begin()->second;
    received_ += bytes;
    unread_ += bytes.size();
    rcv_nxt_ += static_cast<int64_t>(bytes.size());
    disordered_.erase(disordered_.begin());
  }
  if (fin_at_ >= 0 && rcv_nxt_ == fin_at_) fin_received_ = true;
  if (options_.reads_at_once >= options_.receive_buffer) unread_ = 0;
  else if (reading_ < 0 && unread_ > 0) reading_ = now + 5;
}

void TcpEnd::read_some(int64_t now) {
  unread_ -= std::min(unread_, options_.reads_at_once);
  if (unread_ > 0) reading_ = now + 5;
  const int64_t gain = window() - advertised_;
  if (gain >= std::min<int64_t>(static_cast<int64_t>(options_.receive_buffer) / 2, options_.mss)) send_ack();
}

std::string TcpEnd::describe() const {
  return name_ + ": sent " + std::to_string(nxt_) + " of " + std::to_string(end_) + ", acknowledged " + std::to_string(una_) + ", edge " +
         std::to_string(right_edge_) + ", received " + std::to_string(rcv_nxt_) + (fin_received_ ? " and FIN" : "") + ", window to " +
         std::to_string(advertised_) + ", cwnd " + std::to_string(static_cast<int64_t>(congestion_)) + ", mss " + std::to_string(peer_mss_) + (reset_ ? ", reset" : "");
}

}  // namespace sipalg::test
