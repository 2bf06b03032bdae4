// SPDX-License-Identifier: GPL-2.0-or-later
// NFQUEUE: packets in, verdicts out.
#include "conntrack/queue.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sched.h>
#include <sys/socket.h>
#include <utility>

#include "conntrack/packet_attributes.h"

namespace sipalg {
namespace {

constexpr std::size_t packets_per_read = 32;
constexpr std::size_t few = 8;  // packets of a read: nobody is busy
// A 64 KiB packet and its attributes, and a bit: at a power of two the beginnings of all packets would share few cache sets.
constexpr std::size_t largest_message = (72 << 10) + 1088;
constexpr std::size_t messages_per_send = 64 << 10;
constexpr std::size_t accepts_per_send = 1024;

// A verdict as the kernel reads it. A packet follows as one more attribute.
struct VerdictMessage {
  nlmsghdr header;
  nfgenmsg netfilter;
  nlattr verdict_attribute;
  nfqnl_msg_verdict_hdr verdict;
};
static_assert(sizeof(VerdictMessage) == 32 && sizeof(nlattr) == NLA_HDRLEN);

// Ids wrap.
bool is_after(uint32_t id, uint32_t other) { return static_cast<int32_t>(id - other) > 0; }

std::optional<PacketConntrack> conntrack_in(const PacketAttributes& attributes) {
  if (attributes.conntrack == nullptr || !attributes.has_info) return {};
  const auto entry = parse_conntrack(*attributes.conntrack);
  if (!entry) return {};
  return PacketConntrack{*entry, attributes.conntrack_info >= IP_CT_IS_REPLY};
}

} // namespace

// What the kernel writes packets into, and reads verdicts from.
struct Queue::Buffers {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(packets_per_read * largest_message);
  std::array<iovec, packets_per_read> parts{};
  std::array<mmsghdr, packets_per_read> messages{};
  std::vector<uint8_t> verdicts = std::vector<uint8_t>(messages_per_send + sizeof(VerdictMessage) + (64 << 10));
  Buffers() {
    for (std::size_t i = 0; i < packets_per_read; ++i) {
      parts[i] = {&bytes[i * largest_message], largest_message};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

// --- a packet's verdict ---

PendingVerdict::PendingVerdict(PendingVerdict&& other) noexcept
    : queue_(std::exchange(other.queue_, nullptr)), number_(other.number_), id_(other.id_) {}

PendingVerdict& PendingVerdict::operator=(PendingVerdict&& other) noexcept {
  if (this == &other) return *this;
  accept();
  queue_ = std::exchange(other.queue_, nullptr);
  number_ = other.number_;
  id_ = other.id_;
  return *this;
}

void PendingVerdict::accept() {
  if (Queue* queue = std::exchange(queue_, nullptr)) queue->issue(number_, id_, NF_ACCEPT);
}
void PendingVerdict::accept(std::span<const uint8_t> packet) {
  if (packet.empty()) return accept();
  accept(packet.size(), [packet](std::span<uint8_t> out) { std::copy(packet.begin(), packet.end(), out.begin()); });
}
void PendingVerdict::drop() {
  if (Queue* queue = std::exchange(queue_, nullptr)) queue->issue(number_, id_, NF_DROP);
}

// --- start ---

Queue::Queue(QueueOptions options)
    : options_(options), socket_(NETLINK_NETFILTER, 0, options.receive_bytes), buffers_(std::make_unique<Buffers>()),
      last_accepted_(lanes_.data()) {
  const auto number = [&](int offset) { return static_cast<uint16_t>(options_.queue + offset); };
  for (int i = 0; i < static_cast<int>(lanes_.size()); ++i) lanes_[static_cast<std::size_t>(i)].number = number(i);
  bind(number(0), true);
  has_conntrack_ = ask_conntrack(number(0));
  if (!has_conntrack_) bind(number(1), true);
  if (!options_.tcp) return;
  bind(number(2), false);
  if (has_conntrack_)
    ask_conntrack(number(2));
  else
    bind(number(3), false);
}

Queue::~Queue() { flush(); }

void Queue::bind(uint16_t number, bool fail_open) {
  NetlinkBatch batch;
  nlmsghdr* m = batch.begin_netfilter(NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, number);
  const nfqnl_msg_config_cmd command{NFQNL_CFG_CMD_BIND, 0, htons(AF_INET)};
  mnl_attr_put(m, NFQA_CFG_CMD, sizeof command, &command);
  batch.end();
  m = batch.begin_netfilter(NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, number);
  nfqnl_msg_config_params parameters{};
  parameters.copy_range = htonl(0xffff);
  parameters.copy_mode = NFQNL_COPY_PACKET;
  mnl_attr_put(m, NFQA_CFG_PARAMS, sizeof parameters, &parameters);
  mnl_attr_put_u32(m, NFQA_CFG_QUEUE_MAXLEN, htonl(options_.longest));
  batch.end();
  if (const auto error = first_error(socket_.exchange(batch)))
    throw std::system_error(error, "netfilter queue " + std::to_string(number));
  if (fail_open) configure(number, NFQA_CFG_F_FAIL_OPEN, false);
}

void Queue::configure(uint16_t number, uint32_t flag, bool required) {
  NetlinkBatch batch;
  nlmsghdr* m = batch.begin_netfilter(NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, number);
  mnl_attr_put_u32(m, NFQA_CFG_FLAGS, htonl(flag));
  mnl_attr_put_u32(m, NFQA_CFG_MASK, htonl(flag));
  batch.end();
  const auto error = first_error(socket_.exchange(batch));
  if (error && required) throw std::system_error(error, "netfilter queue " + std::to_string(number));
}

// A kernel without the glue refuses the whole message (EOPNOTSUPP): so it goes alone, and the answer is the probe.
bool Queue::ask_conntrack(uint16_t number) {
  try {
    configure(number, NFQA_CFG_F_CONNTRACK, true);
    return true;
  } catch (const std::system_error& error) {
    if (error.code() == errno_code(EOPNOTSUPP)) return false;
    throw;
  }
}

bool Queue::is_births(uint16_t number) const { return !has_conntrack_ && (number - options_.queue) % 2 == 1; }

// --- packets ---

std::size_t Queue::receive(const OnPacket& on_packet, std::size_t most) {
  const uint64_t before = counters_.packets;
  while (counters_.packets - before < most) {
    const int got = recvmmsg(fd(), buffers_->messages.data(), packets_per_read, MSG_DONTWAIT, nullptr);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      ++counters_.overruns;
      continue;
    }
    if (got <= 0) break;
    begin_reading(static_cast<std::size_t>(got), on_packet);
    while (give_next({})) {
    }
    flush();
    if (static_cast<std::size_t>(got) < packets_per_read && !may_gather(static_cast<std::size_t>(got))) break;
  }
  return counters_.packets - before;
}

// With several queues each gets a part of the packets, and small reads cost more for each. So when there is work for all, others get
// the core first, and what they send is read together. Not after a few: then nobody is busy, and waiting would be for nothing.
bool Queue::may_gather(std::size_t last_read) const {
  if (!options_.has_siblings || last_read < few) return false;
  sched_yield();
  return true;
}

void Queue::begin_reading(std::size_t count, const OnPacket& on_packet) {
  reading_ = {&on_packet, 0, count, nullptr, 0};
  find_message();
}

// At the beginning of a datagram, or behind one of its messages: the next one there is.
void Queue::find_message() {
  Reading& r = reading_;
  for (; r.message == nullptr || !mnl_nlmsg_ok(r.message, r.left); ++r.datagram) {
    if (r.datagram == r.count) return void(r.message = nullptr);
    const void* start = buffers_->parts[r.datagram].iov_base;
    r.message = static_cast<const nlmsghdr*>(start);
    r.left = static_cast<int>(buffers_->messages[r.datagram].msg_len);
  }
}

void Queue::skip_message() {
  reading_.message = mnl_nlmsg_next(reading_.message, &reading_.left);
  find_message();
}

bool Queue::give_next(const MayCome& may_come) {
  while (reading_.message != nullptr) {
    const nlmsghdr& message = *reading_.message;
    const auto packet = is_packet(message) ? parse(message) : std::nullopt;
    if (packet && may_come && !may_come(*packet)) return false;
    skip_message();
    if (!packet) continue;
    ++counters_.packets;
    lane_of(packet->queue).held.push_back(packet->id);
    (*reading_.on_packet)(*packet, PendingVerdict(*this, packet->queue, packet->id));
    return true;
  }
  return false;
}

bool Queue::is_packet(const nlmsghdr& message) {
  if (message.nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) return true;
  if (message.nlmsg_type == NLMSG_ERROR && static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error != 0)
    ++counters_.refused_verdicts;
  return false;
}

std::optional<QueuedPacket> Queue::parse(const nlmsghdr& message) {
  constexpr std::size_t headers = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
  const auto malformed = [this] {
    ++counters_.malformed;
    return std::nullopt;
  };
  const void* start = &message;
  const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(start), message.nlmsg_len);
  if (bytes.size() < headers) return malformed();
  const PacketAttributes attributes(bytes.subspan(headers));
  nfgenmsg netfilter{};
  std::memcpy(&netfilter, &bytes[NLMSG_HDRLEN], sizeof netfilter);
  QueuedPacket packet;
  packet.queue = ntohs(netfilter.res_id);
  if (static_cast<uint16_t>(packet.queue - options_.queue) >= lanes_.size() || !attributes.has_payload ||
      attributes.header.size() < sizeof(nfqnl_msg_packet_hdr))
    return malformed();
  packet.bytes = attributes.payload;
  packet.id = PacketAttributes::number(attributes.header); // its first field
  packet.from_births = is_births(packet.queue);
  packet.indev = attributes.indev;
  packet.outdev = attributes.outdev;
  packet.mark = attributes.mark;
  packet.conntrack = conntrack_in(attributes);
  return packet;
}

void Queue::drain(const OnPacket& on_packet) {
  while (receive(on_packet) > 0) {
  }
}

// --- verdicts ---

// Mostly the newest one goes.
void Queue::Lane::take_out(uint32_t id) {
  const auto place = !held.empty() && held.back() == id
                         ? std::prev(held.end())
                         : std::lower_bound(held.begin(), held.end(), id, [](uint32_t a, uint32_t b) { return is_after(b, a); });
  if (place != held.end() && *place == id) held.erase(place);
}

void Queue::issue(uint16_t number, uint32_t id, uint32_t verdict) {
  Lane& lane = lane_of(number);
  if (verdict == NF_ACCEPT) {
    lane.take_out(id);
    if (&lane != last_accepted_) flush_all_accepts(); // a flow's first packet leaves before its second
    last_accepted_ = &lane;
    lane.accepted.push_back(id);
    if (lane.accepted.size() >= accepts_per_send) flush_accepts(lane);
    return;
  }
  flush_all_accepts(); // keeps the order packets leave in; while it is held, no batch passes it
  lane.take_out(id);
  put_verdict(NFQNL_MSG_VERDICT, number, id, verdict);
}

// Where the packet of the next verdict goes.
std::span<uint8_t> Queue::begin_packet(std::size_t size) {
  flush_all_accepts(); // as in issue()
  make_room(size);
  return std::span(buffers_->verdicts).subspan(filled_ + sizeof(VerdictMessage) + sizeof(nlattr), size);
}

void Queue::end_packet(uint16_t number, uint32_t id, std::size_t size) {
  lane_of(number).take_out(id);
  put_verdict(NFQNL_MSG_VERDICT, number, id, NF_ACCEPT, size);
}

void Queue::flush() {
  flush_all_accepts();
  send_messages();
}

// No other lane has any.
void Queue::flush_all_accepts() {
  if (!last_accepted_->accepted.empty()) flush_accepts(*last_accepted_);
}

// A batch verdict answers everything up to its id, so it stops before the oldest packet that is held.
void Queue::flush_accepts(Lane& lane) {
  std::vector<uint32_t>& ids = lane.accepted;
  uint32_t last = 0;
  bool has_last = false;
  for (const uint32_t id : ids) {
    if (!lane.held.empty() && is_after(id, lane.held.front())) continue;
    last = has_last && is_after(last, id) ? last : id;
    has_last = true;
  }
  if (has_last) put_verdict(NFQNL_MSG_VERDICT_BATCH, lane.number, last, NF_ACCEPT);
  for (const uint32_t id : ids)
    if (!has_last || is_after(id, last)) put_verdict(NFQNL_MSG_VERDICT, lane.number, id, NF_ACCEPT);
  ids.clear();
}

void Queue::make_room(std::size_t bytes) {
  if (filled_ + bytes > messages_per_send) send_messages();
}

// A packet is there already, see begin_packet(); padding is what stood there before.
void Queue::put_verdict(uint8_t type, uint16_t number, uint32_t id, uint32_t verdict, std::size_t packet_bytes) {
  if (packet_bytes == 0) make_room(sizeof(VerdictMessage));
  uint8_t* const place = &buffers_->verdicts[filled_];
  const nlattr packet{static_cast<uint16_t>(sizeof(nlattr) + packet_bytes), NFQA_PAYLOAD};
  const std::size_t size = sizeof(VerdictMessage) + (packet_bytes == 0 ? 0 : packet.nla_len);
  const VerdictMessage message{
      {static_cast<uint32_t>(size), static_cast<uint16_t>(NFNL_SUBSYS_QUEUE << 8 | type), NLM_F_REQUEST, 0, 0},
      {AF_UNSPEC, NFNETLINK_V0, htons(number)},
      {sizeof(nlattr) + sizeof(nfqnl_msg_verdict_hdr), NFQA_VERDICT_HDR},
      {htonl(verdict), htonl(id)}};
  std::memcpy(place, &message, sizeof message);
  if (packet_bytes != 0) std::memcpy(place + sizeof message, &packet, sizeof packet);
  filled_ += NLMSG_ALIGN(size);
}

// Netlink does not block here: the kernel carries the verdicts out inside the send.
void Queue::send_messages() {
  if (filled_ == 0) return;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const void* address = &kernel;
  while (sendto(fd(), buffers_->verdicts.data(), filled_, 0, static_cast<const sockaddr*>(address), sizeof kernel) < 0)
    if (errno != EINTR) {
      ++counters_.refused_verdicts;
      break;
    }
  filled_ = 0;
}

} // namespace sipalg
