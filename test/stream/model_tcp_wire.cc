// SPDX-License-Identifier: GPL-2.0-or-later
// The model end's packets: written, read, judged. See model_tcp.h.
#include <algorithm>
#include <array>
#include <stdexcept>

#include "test/stream/model_tcp_segment.h"

namespace sipalg::test {
namespace {

constexpr uint8_t fin = 1, syn = 2, rst = 4, ack = 16;

uint32_t get32(const uint8_t* p) { return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3]; }
uint16_t get16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
void put16(std::vector<uint8_t>& out, std::size_t v) { out.push_back(static_cast<uint8_t>(v >> 8)), out.push_back(static_cast<uint8_t>(v)); }
void put32(std::vector<uint8_t>& out, uint32_t v) { put16(out, v >> 16), put16(out, v & 0xffff); }

// The plain definition: 16 bit words added with end-around carry.
uint16_t sum(const uint8_t* p, std::size_t size, uint32_t s = 0) {
  for (std::size_t i = 0; i < size; i += 2) {
    s += static_cast<uint32_t>(p[i] * 256 + (i + 1 < size ? p[i + 1] : 0));
    if (s > 0xffff) s -= 0xffff;
  }
  return static_cast<uint16_t>(s);
}
uint16_t tcp_sum(const std::vector<uint8_t>& packet) {
  const std::size_t length = packet.size() - 20;
  uint32_t s = sum(packet.data() + 12, 8) + 6U + static_cast<uint32_t>(length);
  return sum(packet.data() + 20, length, s % 0xffff);
}

using Blocks = std::vector<std::pair<int64_t, int64_t>>;

// The run that came last stands first (RFC 2018 section 4).
Blocks sack_blocks(const std::map<int64_t, std::string>& disordered, int64_t last) {
  Blocks blocks;
  for (const auto& [begin, bytes] : disordered) {
    const int64_t until = begin + static_cast<int64_t>(bytes.size());
    if (!blocks.empty() && blocks.back().second == begin) blocks.back().second = until;
    else blocks.emplace_back(begin, until);
  }
  const auto newest = std::find_if(blocks.begin(), blocks.end(), [&](const auto& b) { return last >= b.first && last < b.second; });
  std::rotate(blocks.begin(), newest, blocks.end());
  if (blocks.size() > 3) blocks.resize(3);
  return blocks;
}

// With IP header and checksums.
std::vector<uint8_t> packet_of(const TcpEnd::Address& from, const TcpEnd::Address& to, const std::vector<uint8_t>& tcp, std::string_view payload) {
  std::vector<uint8_t> packet{0x45, 0};
  put16(packet, 20 + tcp.size() + payload.size()), put16(packet, 0), put16(packet, 0x4000);
  packet.insert(packet.end(), {64, 6, 0, 0});
  packet.insert(packet.end(), from.ip.begin(), from.ip.end());
  packet.insert(packet.end(), to.ip.begin(), to.ip.end());
  const auto header = static_cast<uint16_t>(~sum(packet.data(), 20));
  packet[10] = static_cast<uint8_t>(header >> 8), packet[11] = static_cast<uint8_t>(header);
  packet.insert(packet.end(), tcp.begin(), tcp.end());
  packet.insert(packet.end(), payload.begin(), payload.end());
  const auto whole = static_cast<uint16_t>(~tcp_sum(packet));
  packet[36] = static_cast<uint8_t>(whole >> 8), packet[37] = static_cast<uint8_t>(whole);
  return packet;
}

void read_options(const uint8_t* t, std::size_t header, TcpEnd::Parsed& in) {
  for (std::size_t i = 20; i < header && t[i] != 0;) {
    if (t[i] == 1) {
      ++i;
      continue;
    }
    if (t[i + 1] < 2) fail("broken options");
    if (t[i] == 2) in.mss = get16(t + i + 2);
    if (t[i] == 3) in.scale = t[i + 2];
    if (t[i] == 4) in.sack_permitted = true;
    if (t[i] == 8) in.has_timestamps = true, in.ts_value = get32(t + i + 2), in.ts_echo = get32(t + i + 6);
    if (t[i] == 5)
      for (std::size_t at = i + 2; at < i + t[i + 1]; at += 8) in.sack.emplace_back(get32(t + at), get32(t + at + 4));
    i += t[i + 1];
  }
}

}  // namespace

void fail(const std::string& what) { throw std::runtime_error(what); }

void TcpEnd::transmit(uint8_t flags, int64_t position, std::string_view payload) {
  std::vector<uint8_t> tcp;
  put16(tcp, local_.port), put16(tcp, remote_.port);
  put32(tcp, iss_ + 1 + static_cast<uint32_t>(position));
  put32(tcp, (flags & ack) != 0 ? irs_ + 1 + static_cast<uint32_t>(rcv_nxt_) + (fin_received_ ? 1U : 0U) : 0);
  put16(tcp, flags);
  advertised_ = window();
  const int64_t scaled = (flags & syn) != 0 ? advertised_ - rcv_nxt_ : (advertised_ - rcv_nxt_) >> my_scale_;
  put16(tcp, static_cast<std::size_t>(std::clamp<int64_t>(scaled, 0, 65'535)));
  put32(tcp, 0);
  put_options((flags & syn) != 0, tcp);
  tcp[12] = static_cast<uint8_t>(tcp.size() / 4 << 4);
  if ((flags & ack) != 0) delayed_ = -1, unacknowledged_ = 0;
  send_(packet_of(local_, remote_, tcp, payload));
}

void TcpEnd::put_options(bool is_syn, std::vector<uint8_t>& tcp) const {
  if (is_syn) {
    tcp.insert(tcp.end(), {2, 4}), put16(tcp, options_.mss);
    if (options_.window_scale >= 0) tcp.insert(tcp.end(), {1, 3, 3, static_cast<uint8_t>(options_.window_scale)});
    if (options_.sack) tcp.insert(tcp.end(), {1, 1, 4, 2});
  }
  const bool times = options_.timestamps && (is_syn || peer_timestamps_);
  if (times) tcp.insert(tcp.end(), {1, 1, 8, 10}), put32(tcp, static_cast<uint32_t>(now_ + 1)), put32(tcp, ts_recent_);
  if (is_syn || !peer_sack_ || !options_.sack || disordered_.empty()) return;
  const Blocks blocks = sack_blocks(disordered_, last_block_);
  tcp.insert(tcp.end(), {1, 1, 5, static_cast<uint8_t>(2 + 8 * blocks.size())});
  for (auto [b, e] : blocks) put32(tcp, irs_ + 1 + static_cast<uint32_t>(b)), put32(tcp, irs_ + 1 + static_cast<uint32_t>(e));
}

void TcpEnd::receive(const std::vector<uint8_t>& packet, int64_t now) {
  now_ = now;
  if (sum(packet.data(), 20) != 0xffff || tcp_sum(packet) != 0xffff) fail(name_ + ": wrong checksum");
  if (get16(packet.data() + 2) != packet.size()) fail(name_ + ": wrong length");
  const uint8_t* t = packet.data() + 20;
  const std::size_t header = (t[12] >> 4U) * 4U;
  Parsed in{get32(t + 4), get32(t + 8), 0, 0, t[13], get16(t + 14), false, false, -1, 0, {}, {}, 0, 0};
  read_options(t, header, in);
  in.payload = {reinterpret_cast<const char*>(t + header), packet.size() - 20 - header};
  if ((in.flags & syn) != 0) return on_syn(in, now);
  if (!syn_received_) return;
  in.begin = rcv_nxt_ + static_cast<int32_t>(in.sequence - (irs_ + 1 + static_cast<uint32_t>(rcv_nxt_)));
  in.until = una_ + static_cast<int32_t>(in.acknowledgement - (iss_ + 1 + static_cast<uint32_t>(una_)));
  in.window <<= peer_scale_;
  if ((in.flags & rst) != 0) {
    if (in.begin == rcv_nxt_ + (fin_received_ ? 1 : 0)) reset_ = true;
    else send_ack();
    return;
  }
  if (peer_timestamps_ && options_.timestamps) {
    if (!in.has_timestamps) fail(name_ + ": a segment without timestamps");
    if (static_cast<int32_t>(in.ts_value - ts_recent_) < 0) return send_ack();  // RFC 7323 section 5.3 R1
  }
  const bool acceptable = is_acceptable(in);
  if (acceptable && in.has_timestamps && in.begin <= rcv_nxt_) ts_recent_ = std::max(ts_recent_, in.ts_value);
  if (!acceptable && options_.strict) return send_ack();
  if ((in.flags & ack) != 0) on_ack(in, now);
  if (!acceptable) {
    send_ack();
    return push(now);  // what its acknowledgement has let go
  }
  if (!in.payload.empty() || (in.flags & fin) != 0) on_data(in, now);
  push(now);
}

}  // namespace sipalg::test
