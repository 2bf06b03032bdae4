// SPDX-License-Identifier: GPL-2.0-or-later
// Segments no TCP would send, in any order: exactly one verdict each, every packet that leaves can be read, memory is bounded,
// and what was saved can be restored.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "alg/packet/checksum.h"
#include "alg/packet/tcp_segment.h"
#include "alg/stream/stream_table.h"
#include "test/fuzz/check.h"

using namespace sipalg;
using test::check;

namespace {

constexpr std::size_t most_held = 20'000;

struct Caller : StreamOutlet, StreamEditor, StreamStore {
  void answer(Ticket ticket) { check(waiting.erase(ticket) == 1); }
  void accept(Ticket ticket) override { answer(ticket); }
  void accept(Ticket ticket, std::span<const uint8_t> packet) override {
    answer(ticket);
    const auto view = view_datagram(packet);
    check(view && view->packet.size() == packet.size());
    static_cast<void>(view_segment(*view));
  }
  void drop(Ticket ticket) override { answer(ticket); }
  bool begin_guarding(const Flow&) override { return true; }
  void end_guarding(const StreamKey&) override {}
  bool is_alive(const StreamKey&) override { return true; }
  EditedMessage edit(std::string_view held, std::size_t, const Flow&, const MayBecome& may_become, Instant) override {
    check(!held.empty());
    text = std::string(held);
    if (held.size() % 3 == 0) text += "more";
    if (held.size() % 3 == 1) text.resize(held.size() / 2);
    return {held.size() % 5 != 0 && may_become(text.size()) == Reason::edited, text};
  }
  void save(const StreamKey& key, std::string_view bytes, bool) override { saved.insert_or_assign(key.zone, std::string(bytes)); }
  void forget(const StreamKey& key) override { saved.erase(key.zone); }
  std::set<Ticket> waiting;
  std::map<uint16_t, std::string> saved;
  std::string text;
};

struct Input {
  const uint8_t* at;
  const uint8_t* end;
  bool done() const { return at == end; }
  uint8_t byte() { return done() ? uint8_t{0} : *at++; }
};

const std::string stream_bytes =
    "INVITE sip:b SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n\r\n\r\nSIP/2.0 200 OK\r\nl: 30\r\n\r\n"
    "123456789012345678901234567890BYE sip:b SIP/2.0\r\nl:0\r\n\r\nOPTIONS sip:b SIP/2.0\r\nc: multipart/mixed\r\nl: 12\r\n\r\n--x\r\nabcdefg"
    "MESSAGE sip:b SIP/2.0\r\nContent-Length: 9\r\n\r\n123456789POST / HTTP/1.1\r\n\r\n";

// One segment: who sends, flags, where, what it acknowledges, window, payload.
std::vector<uint8_t> segment_of(Input& input, bool& is_first, uint8_t& pace) {
  const uint8_t control = input.byte(), flags = input.byte(), place = input.byte(), said = input.byte();
  is_first = (control & 1) != 0;
  pace = control >> 6;
  const uint32_t base = 0xffffffc0U, begin = static_cast<uint32_t>(place) * 4 + (control >> 1 & 3);
  std::vector<uint8_t> tcp(20);
  write16(tcp, 0, 5060), write16(tcp, 2, 5060);
  const bool is_syn = (flags & tcp_syn) != 0;
  write32(tcp, 4, is_syn && (control & 8) == 0 ? base - 1 : base + begin);
  write32(tcp, 8, base + static_cast<uint32_t>(said) * 4);
  tcp[13] = flags & 0x3f;
  write16(tcp, 14, input.byte() * 40U);
  if ((control & 16) != 0) {
    const uint8_t kind = input.byte(), size = input.byte() % 12;
    tcp.insert(tcp.end(), {kind, size, input.byte(), input.byte(), input.byte(), input.byte(), 1, 1, 4, 2, 0, 0});
  }
  tcp[12] = static_cast<uint8_t>(tcp.size() / 4 << 4);
  const std::size_t size = (control & 32) != 0 ? input.byte() : 0;
  for (std::size_t i = 0; i < size; ++i) tcp.push_back(static_cast<uint8_t>(stream_bytes[(begin + i) % stream_bytes.size()]));
  std::vector<uint8_t> packet{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
  packet.insert(packet.end(), tcp.begin(), tcp.end());
  write16(packet, 2, packet.size());
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  StreamLimits limits;
  limits.held_bytes = limits.kept_bytes = limits.disordered_bytes = most_held / 4;
  limits.message_bytes = 400;
  limits.held_packets = 4;
  Stats stats;
  Caller caller;
  StreamTable table(caller, caller, &caller, stats, limits);
  Input input{data, data + std::min<std::size_t>(size, 4000)};
  Instant now{std::chrono::hours{1}};
  const Flow out{Protocol::tcp, {}, {}, 0, true, false}, back{Protocol::tcp, {}, {}, 0, false, false};
  for (Ticket ticket = 1; !input.done(); ++ticket) {
    bool is_first = false;
    uint8_t pace = 0;
    const auto packet = segment_of(input, is_first, pace);
    const auto view = view_datagram(packet);
    check(view.has_value());
    caller.waiting.insert(ticket);
    table.handle(ticket, *view, is_first ? out : back, 300, now);
    check(table.held_packets() == caller.waiting.size());
    check(table.held_bytes() <= 2 * most_held);
    now += std::chrono::milliseconds{pace == 3 ? 3000 : pace * 15};
    if (table.next_timer() <= now) table.tick(now);
  }
  for (const auto& [zone, bytes] : caller.saved) {
    StreamTable other(caller, caller, nullptr, stats, limits);
    check(other.restore({}, bytes, now));
  }
  table.release_all();
  check(caller.waiting.empty());
  return 0;
}
