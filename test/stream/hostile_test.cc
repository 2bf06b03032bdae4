// SPDX-License-Identifier: GPL-2.0-or-later
// What one end can do to the table by itself: segments by hand, without a TCP behind them.
#include <catch2/catch.hpp>

#include <new>
#include <set>

#include "alg/packet/tcp_segment.h"
#include "alg/stream/stream_table.h"

using namespace sipalg;

namespace {

struct Segment {
  uint8_t host = 2;
  bool by_opener = true;
  uint8_t flags = tcp_ack;
  int64_t begin = 0;
  std::string_view payload{};
  bool is_new = false;
  uint16_t port = 5060;
  std::vector<uint8_t> options{};
};

struct Wire : StreamOutlet, StreamEditor {
  void accept(Ticket ticket) override { waiting.erase(ticket), left = last_packet; }
  void accept(Ticket ticket, std::span<const uint8_t> packet) override { waiting.erase(ticket), left.assign(packet.begin(), packet.end()); }
  void drop(Ticket ticket) override { waiting.erase(ticket), ++dropped; }
  bool begin_guarding(const Flow&) override { return true; }
  void end_guarding(const StreamKey&) override {}
  bool is_alive(const StreamKey&) override { return true; }
  EditedMessage edit(std::string_view held, std::size_t, const Flow&, const MayBecome& may_become, Instant) override {
    if (std::exchange(throws, false)) throw std::bad_alloc();
    text = std::string(held);
    if (const auto at = text.find("grow"); at != std::string::npos) text.insert(at, 40, '+');
    return {text != held && may_become(text.size()) == Reason::edited, text};
  }
  void send(const Segment& segment) {
    std::vector<uint8_t> headers{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, segment.host, 192, 0, 2, 1};
    headers.resize(40);
    headers.insert(headers.end(), segment.options.begin(), segment.options.end());
    SegmentFields fields;
    fields.sequence = (segment.by_opener ? 1000 : 5000) + static_cast<uint32_t>(segment.begin) - ((segment.flags & tcp_syn) != 0 ? 1U : 0U);
    fields.acknowledgement = segment.by_opener ? 5000 : 1000;
    fields.flags = segment.flags, fields.window = 65535;
    write_segment(headers, 20, fields, segment.payload, last_packet);
    const Endpoint opener{Address::v4({10, 0, 0, segment.host}), segment.port}, answerer{Address::v4({192, 0, 2, 1}), 5060};
    Flow flow{Protocol::tcp, {opener, opener}, {answerer, answerer}, 0, segment.by_opener, segment.is_new};
    if (!segment.by_opener) std::swap(flow.sender, flow.receiver);
    waiting.insert(++last);
    table.handle(last, *view_datagram(last_packet), flow, 1500, now);
  }
  void open(uint8_t host = 2, uint16_t port = 5060, const std::vector<uint8_t>& options = {}) {
    send({host, true, tcp_syn, 0, "", true, port, options});
    send({host, false, tcp_syn | tcp_ack, 0, "", false, port, options});
    send({host, true, tcp_ack, 0, "", false, port, options});
  }
  void pass_time(std::chrono::milliseconds time) { now += time, table.tick(now); }
  SegmentView seen() const { return view_segment(*view_datagram(left)); }

  std::vector<uint8_t> last_packet, left;
  std::set<Ticket> waiting;
  Ticket last = 0;
  std::size_t dropped = 0;
  bool throws = false;
  Stats stats;
  StreamTable table{*this, *this, nullptr, stats};
  Instant now{std::chrono::hours{1}};
  std::string text;
};

std::string message(const std::string& word) { return "OPTIONS sip:b SIP/2.0\r\nX: " + word + "\r\nContent-Length: 0\r\n\r\n"; }

}  // namespace

TEST_CASE("ends of connections that come before their bytes wait for nothing") {
  Wire wire;
  for (uint16_t port = 5060; port < 5072; ++port) {
    wire.open(2, port);
    for (int i = 0; i < 60; ++i) wire.send({2, true, tcp_ack | tcp_fin, 500, "", false, port});
  }
  CHECK(wire.table.held_packets() == 0);
  CHECK(wire.waiting.empty());
}

TEST_CASE("the end came first: the message before it leaves when its sender repeats it") {
  Wire wire;
  const auto stamp = [](uint8_t value) { return std::vector<uint8_t>{1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 1}; };
  wire.open(2, 5060, stamp(1));
  const std::string words = message("none");
  wire.send({2, true, tcp_ack | tcp_fin, static_cast<int64_t>(words.size()), "", false, 5060, stamp(2)});
  const std::size_t before = wire.dropped;
  wire.send({2, true, tcp_ack | tcp_psh, 0, words, false, 5060, stamp(3)});
  CHECK(wire.dropped == before);
  CHECK(wire.seen().payload == words);
  wire.send({2, true, tcp_ack | tcp_fin, static_cast<int64_t>(words.size()), "", false, 5060, stamp(4)});
  CHECK(wire.seen().has(tcp_fin));
}

TEST_CASE("pieces behind a gap count with what each of them costs") {
  Wire wire;
  wire.open();
  for (int64_t at = 2; at < 20'000; at += 2) wire.send({2, true, tcp_ack | tcp_psh, at, "x"});
  CHECK(wire.table.held_bytes() <= limits::stream_disordered_bytes + 100);
  CHECK(wire.table.held_bytes() > limits::stream_disordered_bytes / 2);
}

TEST_CASE("a message that can not be edited leaves as it came, and the next one stands where it stood") {
  Wire wire;
  wire.open();
  const std::string one = message("grow 1"), two = message("grow 2");
  wire.throws = true;
  wire.send({2, true, tcp_ack | tcp_psh, 0, one});
  CHECK(wire.seen().payload == one);
  wire.send({2, true, tcp_ack | tcp_psh, static_cast<int64_t>(one.size()), two});
  CHECK(wire.seen().sequence == 1000 + one.size());
  CHECK(wire.seen().payload.find("++++grow 2") != std::string_view::npos);
  CHECK(wire.stats[Event::stream_edits_refused] == 1);
}

TEST_CASE("who sends beyond the window costs no more than one direction may keep") {
  Wire wire;
  wire.open();
  const std::string big = "OPTIONS sip:b SIP/2.0\r\nX: grow" + std::string(900, '.') + "\r\nContent-Length: 0\r\n\r\n";
  const auto size = static_cast<int64_t>(big.size());
  const std::string_view head = std::string_view(big).substr(0, 500), tail = std::string_view(big).substr(500);
  wire.send({2, true, tcp_ack | tcp_psh, 0, head});
  for (int64_t at = 0; at < 12'000'000; at += size) {  // each segment ends a message and begins the next: nothing is in hand
    wire.send({2, true, tcp_ack | tcp_psh, at + 500, std::string(tail) + std::string(head)});
    REQUIRE(wire.table.held_bytes() < 2 * limits::stream_kept_bytes);
  }
  CHECK(wire.table.held_bytes() > limits::stream_kept_bytes / 2);
  CHECK(wire.stats[Event::stream_edits_refused] == 0);
}

TEST_CASE("all connections of a host together cost no more than its share, and another host's messages are edited") {
  Wire wire;
  const std::string big = "OPTIONS sip:b SIP/2.0\r\nX: grow" + std::string(900, '.') + "\r\nContent-Length: 0\r\n\r\n";
  const std::string_view head = std::string_view(big).substr(0, 500), tail = std::string_view(big).substr(500);
  for (uint16_t port = 6000; port < 6100; ++port) {
    wire.open(2, port);
    wire.send({2, true, tcp_ack | tcp_psh, 0, head, false, port});
    for (int64_t at = 0; at < 300'000; at += static_cast<int64_t>(big.size()))
      wire.send({2, true, tcp_ack | tcp_psh, at + 500, std::string(tail) + std::string(head), false, port});
  }
  CHECK(wire.table.held_bytes() < limits::stream_held_bytes_per_host + 100 * 2000);
  wire.open(3);
  wire.send({3, true, tcp_ack | tcp_psh, 0, message("grow")});
  CHECK(wire.seen().payload.find("++++grow") != std::string_view::npos);
}

TEST_CASE("one host's connections leave places for another's") {
  Wire wire;
  for (uint32_t port = 1024; port < 1024 + limits::streams; ++port) wire.send({2, true, tcp_syn, 0, "", true, static_cast<uint16_t>(port)});
  CHECK(wire.stats[Event::streams_refused_by_bound] == limits::streams - limits::streams_per_host);
  wire.open(3);
  wire.send({3, true, tcp_ack | tcp_psh, 0, message("grow")});
  CHECK(wire.seen().payload.find("++++grow") != std::string_view::npos);
  wire.pass_time(limits::stream_opening + std::chrono::seconds{1});
  wire.send({2, true, tcp_syn, 0, "", true, 900});
  CHECK(wire.stats[Event::streams_refused_by_bound] == limits::streams - limits::streams_per_host);
}
