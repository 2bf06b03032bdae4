// SPDX-License-Identifier: GPL-2.0-or-later
// Single segments through the stream table: what each leaves as.
#include <catch2/catch.hpp>
#include <map>

#include "alg/packet/tcp_segment.h"
#include "alg/stream/stream_table.h"

using namespace sipalg;

namespace {

constexpr uint32_t opener_first = 0xfffffffeU, answerer_first = 5000;
const std::string head = "OPTIONS sip:b SIP/2.0\r\nX: ";
const std::string grows = head + "grow" + std::string(48, 'a') + "\r\nContent-Length: 0\r\n\r\n";  // by 40 bytes

struct Out {
  bool dropped = false;
  std::vector<uint8_t> packet;
  SegmentView view() const { return view_segment(*view_datagram(packet)); }
};

// The opener's segments are numbered from its first byte, what it acknowledges from the answerer's, and the other way round.
struct Wire : StreamOutlet, StreamEditor {
  explicit Wire(const StreamLimits& limits = {}) : table(*this, *this, nullptr, stats, limits) {}
  void accept(Ticket ticket) override { out[ticket].packet = in[ticket]; }
  void accept(Ticket ticket, std::span<const uint8_t> packet) override { out[ticket].packet.assign(packet.begin(), packet.end()); }
  void drop(Ticket ticket) override { out[ticket].dropped = true; }
  bool begin_guarding(const Flow&) override { return true; }
  void end_guarding(const StreamKey&) override {}
  bool is_alive(const StreamKey&) override { return ++asked, is_known; }
  EditedMessage edit(std::string_view held, std::size_t, const Flow& flow, const MayBecome& may_become, Instant) override {
    was_new = flow.is_new;
    text = std::string(held);
    if (const auto at = text.find("grow"); at != std::string::npos) text.insert(at, 40, '+');
    if (const auto at = text.find("shrink"); at != std::string::npos) text.erase(at, 40);
    return {text != held && may_become(text.size()) == Reason::edited, text};
  }

  struct Segment {
    bool by_opener = true;
    uint8_t flags = tcp_ack;
    int begin = 0, acknowledged = 0;
    std::string payload{};
    uint16_t window = 1000;
    std::vector<uint8_t> options{};
    uint32_t time = 0;  // a timestamps option
    bool is_new = false;
    SackBlocks sack{};
  };
  Ticket send(const Segment& segment) {
    std::vector<uint8_t> options = segment.options;
    if (segment.time != 0) options.insert(options.end(), {1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0});
    std::vector<uint8_t> headers{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 192, 0, 2, 1}, packet;
    headers.resize(40);
    headers.insert(headers.end(), options.begin(), options.end());
    SegmentFields fields;
    const bool is_syn = (segment.flags & tcp_syn) != 0;
    fields.sequence = (segment.by_opener ? opener_first : answerer_first) + static_cast<uint32_t>(segment.begin) - (is_syn ? 1U : 0U);
    fields.acknowledgement = (segment.by_opener ? answerer_first : opener_first) + static_cast<uint32_t>(segment.acknowledged);
    fields.flags = segment.flags;
    fields.window = segment.window;
    fields.sack = segment.sack;
    if (segment.time != 0) fields.timestamps = Timestamps{segment.time, 1};
    write_segment(headers, 20, fields, segment.payload, packet);
    in[++last] = packet;
    const Endpoint a{Address::v4({10, 0, 0, 2}), 5060}, b{Address::v4({192, 0, 2, 1}), 5060};
    Flow flow{Protocol::tcp, {a, a}, {b, b}, 0, segment.by_opener, segment.is_new};
    if (!segment.by_opener) std::swap(flow.sender, flow.receiver);
    table.handle(last, *view_datagram(in[last]), flow, 1500, now);
    return last;
  }
  void open(const std::vector<uint8_t>& options = {}) {
    send({true, tcp_syn, 0, 0, "", 1000, options, 0, true});
    send({false, tcp_syn | tcp_ack, 0, 0, "", 1000, options});
    send({});
  }
  uint32_t sequence(Ticket ticket) { return out.at(ticket).view().sequence - opener_first; }
  uint32_t acknowledged(Ticket ticket) { return out.at(ticket).view().acknowledgement - opener_first; }

  std::map<Ticket, std::vector<uint8_t>> in;
  std::map<Ticket, Out> out;
  Ticket last = 0;
  Stats stats;
  StreamTable table;
  Instant now{std::chrono::hours{1}};
  std::string text;
  bool was_new = false;
  bool is_known = true;  // to conntrack
  int asked = 0;
};

const uint32_t size = static_cast<uint32_t>(grows.size());
const std::vector<uint8_t> sack_permitted{1, 1, 4, 2};

}  // namespace

TEST_CASE("behind an edit: sequence, acknowledgement and window by the map") {
  Wire wire;
  wire.open();
  const Ticket message = wire.send({true, tcp_ack | tcp_psh, 0, 0, grows});
  CHECK(wire.out[message].view().payload.size() == size + 40);
  CHECK(wire.was_new);
  // part of it: less than its last byte; the right edge is the answerer's
  const Ticket part = wire.send({false, tcp_ack, 0, static_cast<int>(size) + 10, "", 1000});
  CHECK(wire.acknowledged(part) == size - 1);
  CHECK(wire.acknowledged(part) + wire.out[part].view().window == size + 10 + 1000 - 40);
  const Ticket all = wire.send({false, tcp_ack, 0, static_cast<int>(size) + 40, "", 1000});
  CHECK(wire.acknowledged(all) == size);
  CHECK(wire.out[all].view().window == 1000);
  const Ticket next = wire.send({true, tcp_ack | tcp_psh, static_cast<int>(size), 0, "\r\n"});
  CHECK(wire.sequence(next) == size + 40);
  // repeated, whole and in part: the same bytes at the same places, below what was acknowledged never again
  const Ticket again = wire.send({true, tcp_ack, static_cast<int>(size), 0, "\r\n"});
  CHECK(wire.sequence(again) == size + 40);
  CHECK(wire.out[again].view().payload == "\r\n");
  const Ticket old = wire.send({true, tcp_ack, 20, 0, grows.substr(20)});
  CHECK(wire.sequence(old) == size + 39);
  CHECK(wire.out[old].view().payload.size() == 1);
}

TEST_CASE("a keepalive behind a message that shrank stays one below") {
  Wire wire;
  wire.open();
  const std::string shrinks = head + "shrink" + std::string(60, 'a') + "\r\nContent-Length: 0\r\n\r\n";
  const int end = static_cast<int>(shrinks.size());
  wire.send({true, tcp_ack | tcp_psh, 0, 0, shrinks});
  CHECK(wire.sequence(wire.send({true, tcp_ack, end - 1})) == shrinks.size() - 41);
  const Ticket acknowledged = wire.send({false, tcp_ack, 0, end - 40, "", 1000});
  CHECK(wire.acknowledged(acknowledged) == shrinks.size());
  CHECK(wire.out[acknowledged].view().window == 1000);
  CHECK(wire.sequence(wire.send({true, tcp_ack, end - 1})) == shrinks.size() - 41);
  CHECK(wire.sequence(wire.send({true, tcp_ack, end})) == shrinks.size() - 40);
}

TEST_CASE("an incomplete message waits; then one packet leaves as an old byte, and its answer is raised") {
  Wire wire;
  wire.open();
  const Ticket first = wire.send({true, tcp_ack | tcp_psh, 0, 0, grows.substr(0, 30), 1000, {}, 10});
  CHECK_FALSE(wire.out.contains(first));
  CHECK(wire.table.next_timer() == wire.now + limits::stream_stall);
  const Ticket pure = wire.send({true, tcp_ack, 30, 0, "", 1000, {}, 12});
  CHECK(wire.sequence(pure) == 0);
  wire.now += limits::stream_stall;
  wire.table.tick(wire.now);
  REQUIRE(wire.out.contains(first));
  CHECK(wire.out[first].view().sequence == opener_first - 1);
  CHECK(wire.out[first].view().payload == std::string_view("\0", 1));
  CHECK(wire.out[first].view().timestamps->value == 12);  // an older one would be refused
  const Ticket keepalive = wire.send({true, tcp_ack, 29});  // wants an answer: old for the receiver, as it was for its sender
  CHECK(wire.out[keepalive].view().sequence == opener_first - 1);
  CHECK(wire.out[keepalive].view().payload.size() == 1);
  const Ticket answer = wire.send({false, tcp_ack, 0, 0, "", 1000});
  CHECK(wire.acknowledged(answer) == 30);
  CHECK(wire.out[answer].view().window == 4096);  // the room for the rest of a head is ours
  CHECK(wire.stats[Event::stream_takeovers] == 1);
  const Ticket rest = wire.send({true, tcp_ack | tcp_psh, 30, 0, grows.substr(30), 1000, {}, 13});
  CHECK(wire.sequence(rest) == 0);
  CHECK(wire.out[rest].view().payload == wire.text);
  // what was taken over is ours to repeat: three repeated acknowledgements, the third asks the opener for a packet
  for (int i = 0; i < 3; ++i) wire.send({false, tcp_ack, 0, 0, "", 1000});
  CHECK(wire.out[wire.last].view().sequence == answerer_first - 1);
  CHECK(wire.out[wire.last].view().payload.size() == 1);
  const Ticket carrier = wire.send({true, tcp_ack, static_cast<int>(size)});
  CHECK(wire.sequence(carrier) == 0);
  CHECK(wire.out[carrier].view().payload == wire.text);
}

TEST_CASE("who repeats what was taken over is told so, also when old bytes of ours were lost") {
  for (const std::vector<uint8_t>& options : {std::vector<uint8_t>{}, sack_permitted}) {
    Wire wire;
    wire.open(options);
    for (const int begin : {0, 10, 20}) {
      wire.send({true, tcp_ack | tcp_psh, begin, 0, grows.substr(static_cast<std::size_t>(begin), 10)});
      wire.now += limits::stream_stall;
      wire.table.tick(wire.now);  // an old byte, each time; the answerer gets the last one
    }
    CHECK(wire.acknowledged(wire.send({false, tcp_ack, 0, 0})) == 30);  // lost, too
    const Ticket again = wire.send({true, tcp_ack | tcp_psh, 0, 0, grows.substr(0, 30)});
    CHECK(wire.sequence(again) == static_cast<uint32_t>(-1));
    const Ticket answer = wire.send({false, tcp_ack, 0, 0});
    CHECK_FALSE(wire.out[answer].dropped);
    CHECK((wire.out[answer].dropped || wire.acknowledged(answer) == 30));
  }
}

TEST_CASE("a gap: the opener hears of it by SACK, and the receiver's own blocks are mapped") {
  Wire wire;
  wire.open(sack_permitted);
  const Ticket message = wire.send({true, tcp_ack | tcp_psh, 0, 0, grows});
  CHECK(wire.out.contains(message));
  const int end = static_cast<int>(size);
  CHECK_FALSE(wire.out.contains(wire.send({true, tcp_ack, end + 20, 0, "20202020"})));
  CHECK(wire.out.contains(wire.send({true, tcp_ack, end + 28, 0, "28282828"})));  // an old byte
  SackBlocks blocks;
  blocks.add({opener_first + 60, opener_first + size + 40});
  const Ticket told = wire.send({false, tcp_ack, 0, 0, "", 1000, {}, 0, false, blocks});
  const SegmentView view = wire.out[told].view();
  REQUIRE(view.sack.count == 2);
  CHECK(view.sack.blocks[0] == SackBlock{opener_first + size + 20, opener_first + size + 36});
  CHECK(view.sack.blocks[1] == SackBlock{opener_first + 60, opener_first + size});
}

TEST_CASE("SYN: data is cut off, repetitions are as the first, signed ones are left alone") {
  Wire wire;
  const std::vector<uint8_t> mss{2, 4, 5, 0xb4}, md5 = [] { std::vector<uint8_t> o(20, 1); o[0] = 19, o[1] = 18; return o; }();
  for (int i = 0; i < 2; ++i) {
    const Ticket syn = wire.send({true, tcp_syn, 0, 0, "INVITE", 1000, mss, 0, i == 0});
    CHECK(wire.out[syn].view().payload.empty());
    CHECK(wire.out[syn].view().mss == 1340);
  }
  CHECK(wire.stats[Event::streams_followed] == 1);
  Wire signed_wire;
  const Ticket syn = signed_wire.send({true, tcp_syn, 0, 0, "", 1000, md5});
  CHECK(signed_wire.out[syn].packet == signed_wire.in[syn]);
  CHECK(signed_wire.table.size() == 0);
}

TEST_CASE("a SYN in a living connection passes; of a new conntrack it begins a new one") {
  Wire wire;
  wire.open();
  wire.send({true, tcp_ack | tcp_psh, 0, 0, grows});
  const Ticket waiting = wire.send({true, tcp_ack, static_cast<int>(size), 0, "INV"});
  const Ticket other = wire.send({true, tcp_syn, 777});
  CHECK(wire.out[other].packet == wire.in[other]);
  CHECK_FALSE(wire.out.contains(waiting));
  wire.send({true, tcp_syn, 777, 0, "", 1000, {}, 0, true});
  CHECK(wire.out[waiting].dropped);
  CHECK(wire.stats[Event::streams_followed] == 2);
  CHECK(wire.table.size() == 1);
}

TEST_CASE("what no TCP sends reaches nobody who could be misled") {
  Wire wire;
  wire.open();
  wire.send({true, tcp_ack | tcp_psh, 0, 0, grows});
  CHECK(wire.out[wire.send({false, tcp_ack, 0, 100'000})].dropped);                        // acknowledges what was never sent
  CHECK(wire.out[wire.send({true, tcp_ack, 1'000'000, 0, "far"})].dropped);                // beyond every window
  CHECK_FALSE(wire.out.contains(wire.send({true, tcp_ack | tcp_fin, 900, 0, "end"})));     // behind a gap
  CHECK(wire.out[wire.send({true, tcp_ack, 950, 0, "more"})].dropped);                     // behind the end
  wire.table.release_all();
  CHECK(wire.out.size() == wire.in.size());
  CHECK(wire.table.held_packets() == 0);
  wire.table.forget(StreamKey{{{Address::v4({10, 0, 0, 2}), 5060}, {Address::v4({10, 0, 0, 2}), 5060}}, {{Address::v4({192, 0, 2, 1}), 5060}, {Address::v4({192, 0, 2, 1}), 5060}}, 0});
  CHECK(wire.table.size() == 0);
}

TEST_CASE("time forgets: half open ones soon, silent ones late") {
  Wire wire;
  wire.send({true, tcp_syn});
  wire.now += limits::stream_opening;
  wire.table.tick(wire.now);
  CHECK(wire.table.size() == 0);
  wire.open();
  wire.now += limits::stream_idle - std::chrono::seconds{1};
  wire.table.tick(wire.now);
  CHECK(wire.table.size() == 1);
  wire.send({});
  wire.now += limits::stream_idle;
  wire.table.tick(wire.now);
  CHECK(wire.table.size() == 0);
  CHECK(wire.table.next_timer() == Instant::max());
}

TEST_CASE("a silent connection is forgotten when conntrack has done so") {
  Wire wire;
  wire.open();
  for (int i = 1; i < 4; ++i) {
    wire.now += limits::stream_silence - std::chrono::seconds{1};
    wire.table.tick(wire.now);
    CHECK(wire.asked == i - 1);
    wire.now += std::chrono::seconds{1};
    wire.table.tick(wire.now);
    CHECK(wire.asked == i);
  }
  CHECK(wire.table.size() == 1);
  wire.is_known = false;
  wire.send({});
  wire.now += limits::stream_silence;
  wire.table.tick(wire.now);
  CHECK(wire.table.size() == 0);
}

TEST_CASE("a reset that no TCP of this connection would send changes nothing, and stays as far off as it was") {
  for (const bool is_edited : {false, true})
    for (const int off : {1, 500, 1'000'000, -20}) {
      Wire wire;
      wire.open();
      const int end = is_edited ? static_cast<int>(grows.size()) : 0;
      if (is_edited) {
        wire.send({true, tcp_ack | tcp_psh, 0, 0, grows});
        wire.send({false, tcp_ack, 0, end + 40});
      }
      const Ticket guess = wire.send({true, tcp_rst, end + off});
      INFO("off by " << off);
      CHECK(wire.sequence(guess) == static_cast<uint32_t>(end + off + (is_edited ? 40 : 0)));
      const Ticket message = wire.send({true, tcp_ack | tcp_psh, end, 0, grows});
      CHECK(wire.out[message].view().payload == wire.text);
      CHECK(wire.table.size() == 1);
      const Ticket reset = wire.send({true, tcp_rst, end + static_cast<int>(size)});
      CHECK(wire.sequence(reset) == static_cast<uint32_t>(end) + size + (is_edited ? 80 : 40));
      CHECK(wire.table.summaries().front().state == StreamSummary::State::closing);
    }
}

TEST_CASE("a reset that answers what the other end acknowledged stands where it stands") {
  Wire wire;
  wire.open();
  wire.send({true, tcp_ack | tcp_psh, 0, 0, grows});
  wire.send({false, tcp_ack, 0, 30});
  CHECK(wire.sequence(wire.send({true, tcp_rst, 30})) == 30);
  CHECK(wire.table.summaries().front().state == StreamSummary::State::closing);
}

TEST_CASE("one host's waiting packets leave when it has its share of them; others' wait") {
  StreamLimits limits;
  limits.waiting_packets_per_host = 1;
  Wire wire(limits);
  wire.open();
  const Ticket first = wire.send({true, tcp_ack | tcp_psh, 0, 0, grows.substr(0, 30)});
  CHECK_FALSE(wire.out.contains(first));
  const Ticket second = wire.send({true, tcp_ack | tcp_psh, 30, 0, grows.substr(30, 10)});
  REQUIRE(wire.out.contains(first));
  CHECK(wire.sequence(first) == static_cast<uint32_t>(-1));
  REQUIRE(wire.out.contains(second));
  CHECK(wire.table.held_packets() == 0);
  CHECK(wire.acknowledged(wire.send({false, tcp_ack, 0, 0, "", 1000})) == 40);
  const Ticket rest = wire.send({true, tcp_ack | tcp_psh, 40, 0, grows.substr(40)});
  CHECK(wire.out[rest].view().payload == wire.text);
}

TEST_CASE("a message whose first half lost its packet to the message before it leaves whole, no byte later") {
  Wire wire;
  wire.open();
  const std::string one = head + "one\r\nContent-Length: 0\r\n\r\n", two = head + "two\r\nContent-Length: 0\r\n\r\n";
  const std::string half = two.substr(0, 30);
  const Ticket first = wire.send({true, tcp_ack | tcp_psh, 0, 0, one + half});
  CHECK(wire.out[first].view().payload == one);
  const Ticket second = wire.send({true, tcp_ack | tcp_psh, static_cast<int>(one.size() + half.size()), 0, two.substr(30)});
  CHECK(wire.sequence(second) == one.size());
  CHECK(wire.out[second].view().payload == two);
  CHECK(wire.table.held_bytes() == 0);  // their sender has them
}
