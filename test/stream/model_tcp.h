// SPDX-License-Identifier: GPL-2.0-or-later
// A TCP end for tests, written from RFC 9293, 5681, 6582, 7323 and 2018, without a line of the product: it is the judge.
//
// What it can be told to be: with or without SACK, timestamps, window scale; Nagle as in RFC 896, as in Linux, or none; delayed
// acknowledgements or not; a small receive buffer and an application that reads it slowly; one that stops at segments out of
// its window as RFC 9293 says, or reads their acknowledgement first as Linux does.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace sipalg::test {

enum class Nagle : uint8_t { off, classic, small_outstanding };

struct TcpOptions {
  uint16_t mss = 1460;
  bool sack = true, timestamps = true;
  int window_scale = 7;  // -1: none
  Nagle nagle = Nagle::off;
  bool delayed_ack = true;
  std::size_t receive_buffer = 65'535;
  std::size_t reads_at_once = 1 << 20;  // bytes the application takes each time, every 5 ms
  bool strict = false;                  // drops unacceptable segments without reading their acknowledgement
  bool probes_with_new_byte = false;    // zero window: the next byte instead of an old one
};

class TcpEnd {
 public:
  using Send = std::function<void(std::vector<uint8_t>)>;
  struct Address {
    std::array<uint8_t, 4> ip;
    uint16_t port;
  };
  TcpEnd(std::string name, Address local, Address remote, TcpOptions options, uint32_t seed, Send send);

  void connect(int64_t now);
  void write(std::string_view bytes, int64_t now);
  void close(int64_t now);
  void keepalive(int64_t now);
  void abort(int64_t now);  // RST
  void receive(const std::vector<uint8_t>& packet, int64_t now);
  void tick(int64_t now);
  int64_t next_timer() const;

  const std::string& received() const { return received_; }
  bool has_received_fin() const { return fin_received_; }
  bool is_all_acknowledged() const { return fin_queued_ && una_ == end_ + 1; }
  bool was_reset() const { return reset_; }
  uint64_t segments() const { return segments_; }  // with data, sent
  uint64_t retransmissions() const { return retransmissions_; }
  std::string describe() const;

  struct Parsed;

 private:
  void put_options(bool is_syn, std::vector<uint8_t>& tcp) const;
  void transmit(uint8_t flags, int64_t position, std::string_view payload);
  void send_ack();
  void push(int64_t now);
  void send_data(int64_t begin, std::size_t size, int64_t now);
  void retransmit(int64_t now);
  void on_ack(const Parsed& in, int64_t now);
  void on_sack(const Parsed& in);
  void on_data(const Parsed& in, int64_t now);
  void on_syn(const Parsed& in, int64_t now);
  bool is_acceptable(const Parsed& in) const;
  void deliver(int64_t now);
  void read_some(int64_t now);
  int64_t window() const;
  int64_t flight() const { return nxt_ - una_; }
  int64_t rto() const { return std::min<int64_t>(200LL << backoff_, 5'000); }

  std::string name_;
  Address local_, remote_;
  TcpOptions options_;
  std::mt19937 random_;
  Send send_;
  int64_t now_ = 0;

  uint32_t iss_, irs_ = 0;  // position 0 is the byte behind the SYN
  bool connecting_ = false, established_ = false, syn_received_ = false, fin_queued_ = false, reset_ = false;
  bool peer_sack_ = false, peer_timestamps_ = false;
  int peer_scale_ = 0, my_scale_ = 0;
  std::size_t peer_mss_ = 536;

  std::string out_;  // from position 0
  int64_t end_ = 0, una_ = 0, nxt_ = 0, max_ = 0, small_until_ = 0;  // `max_`: highest ever sent
  int64_t right_edge_ = 0, wl_sequence_ = -1, wl_ack_ = -1;
  double congestion_ = 0, threshold_ = 1e9;
  unsigned duplicates_ = 0;
  int64_t recover_ = -1;
  std::map<int64_t, int64_t> sacked_;
  int64_t timer_ = -1, persist_ = -1, delayed_ = -1, reading_ = -1;
  unsigned backoff_ = 0;

  std::string received_;
  int64_t rcv_nxt_ = 0, advertised_ = 0;
  std::size_t unread_ = 0;
  std::map<int64_t, std::string> disordered_;
  int64_t fin_at_ = -1, last_block_ = -1;
  bool fin_received_ = false;
  unsigned unacknowledged_ = 0;
  uint32_t ts_recent_ = 0;
  uint64_t segments_ = 0, retransmissions_ = 0;
};

}  // namespace sipalg::test
