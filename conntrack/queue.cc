// SPDX-License-Identifier: GPL-2.0-or-later
// NFQUEUE: packets in, verdicts out.
#include "conntrack/queue.h"

#include <arpa/inet.h>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/socket.h>
#include <utility>

namespace sipalg {
namespace {

constexpr std::size_t packets_per_read = 32;
constexpr std::size_t largest_message = 72 << 10; // a 64 KiB packet and its attributes
constexpr std::size_t messages_per_send = 64 << 10;
constexpr std::size_t accepts_per_send = 1024;

// The attributes of a queue message by their number.
using PacketAttributes = std::array<const nlattr*, NFQA_MAX + 1>;

int keep_attribute(const nlattr* attribute, void* found) {
  auto& attributes = *static_cast<PacketAttributes*>(found);
  if (const auto type = mnl_attr_get_type(attribute); type < attributes.size()) attributes[type] = attribute;
  return MNL_CB_OK;
}

uint32_t number_in(const nlattr* attribute) {
  return attribute == nullptr || mnl_attr_get_payload_len(attribute) < 4 ? 0 : ntohl(mnl_attr_get_u32(attribute));
}

std::optional<PacketConntrack> conntrack_in(const PacketAttributes& attributes) {
  if (attributes[NFQA_CT] == nullptr || attributes[NFQA_CT_INFO] == nullptr) return {};
  const auto entry = parse_conntrack(*attributes[NFQA_CT]);
  if (!entry) return {};
  return PacketConntrack{*entry, number_in(attributes[NFQA_CT_INFO]) >= IP_CT_IS_REPLY};
}

} // namespace

// What the kernel writes packets into.
struct Queue::Buffers {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(packets_per_read * largest_message);
  std::array<iovec, packets_per_read> parts{};
  std::array<mmsghdr, packets_per_read> messages{};
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
  if (Queue* queue = std::exchange(queue_, nullptr)) queue->issue(number_, id_, NF_ACCEPT, {});
}
void PendingVerdict::accept(std::span<const uint8_t> packet) {
  if (Queue* queue = std::exchange(queue_, nullptr)) queue->issue(number_, id_, NF_ACCEPT, packet);
}
void PendingVerdict::drop() {
  if (Queue* queue = std::exchange(queue_, nullptr)) queue->issue(number_, id_, NF_DROP, {});
}

// --- start ---

Queue::Queue(QueueOptions options)
    : options_(options), socket_(NETLINK_NETFILTER, 0, options.receive_bytes), buffers_(std::make_unique<Buffers>()) {
  const auto number = [&](int offset) { return static_cast<uint16_t>(options_.queue + offset); };
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
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      int left = static_cast<int>(buffers_->messages[i].msg_len);
      const void* start = buffers_->parts[i].iov_base;
      for (auto* m = static_cast<const nlmsghdr*>(start); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
        take_message(*m, on_packet);
    }
    flush();
    if (static_cast<std::size_t>(got) < packets_per_read) break;
  }
  return counters_.packets - before;
}

void Queue::take_message(const nlmsghdr& message, const OnPacket& on_packet) {
  if (message.nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
    take(message, on_packet);
  else if (message.nlmsg_type == NLMSG_ERROR &&
           static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error != 0)
    ++counters_.refused_verdicts;
}

void Queue::take(const nlmsghdr& message, const OnPacket& on_packet) {
  PacketAttributes attributes{};
  mnl_attr_parse(&message, sizeof(nfgenmsg), keep_attribute, &attributes);
  if (attributes[NFQA_PACKET_HDR] == nullptr || attributes[NFQA_PAYLOAD] == nullptr) {
    ++counters_.malformed;
    return;
  }
  QueuedPacket packet;
  packet.queue = ntohs(static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message))->res_id);
  packet.id =
      ntohl(static_cast<const nfqnl_msg_packet_hdr*>(mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]))->packet_id);
  packet.from_births = is_births(packet.queue);
  packet.bytes = {static_cast<const uint8_t*>(mnl_attr_get_payload(attributes[NFQA_PAYLOAD])),
                  mnl_attr_get_payload_len(attributes[NFQA_PAYLOAD])};
  packet.indev = number_in(attributes[NFQA_IFINDEX_INDEV]);
  packet.outdev = number_in(attributes[NFQA_IFINDEX_OUTDEV]);
  packet.mark = number_in(attributes[NFQA_MARK]);
  packet.conntrack = conntrack_in(attributes);
  ++counters_.packets;
  held_[packet.queue].insert(packet.id);
  on_packet(packet, PendingVerdict(*this, packet.queue, packet.id));
}

void Queue::drain(const OnPacket& on_packet) {
  while (receive(on_packet) > 0) {
  }
}

// --- verdicts ---

void Queue::issue(uint16_t number, uint32_t id, uint32_t verdict, std::span<const uint8_t> packet) {
  held_[number].erase(id);
  if (verdict == NF_ACCEPT && packet.empty()) {
    if (number != last_accepted_) flush_all_accepts(); // a flow's first packet leaves before its second
    last_accepted_ = number;
    accepted_[number].push_back(id);
    if (accepted_[number].size() >= accepts_per_send) flush_accepts(number);
    return;
  }
  flush_all_accepts(); // keeps the order packets leave in
  put_verdict(NFQNL_MSG_VERDICT, number, id, verdict, packet);
}

void Queue::flush() {
  flush_all_accepts();
  send_messages();
}

void Queue::flush_all_accepts() {
  for (const auto& [number, ids] : accepted_)
    if (!ids.empty()) flush_accepts(number);
}

// A batch verdict answers everything up to its id, so it stops before the oldest packet that is held.
void Queue::flush_accepts(uint16_t number) {
  std::vector<uint32_t>& ids = accepted_[number];
  const auto& held = held_[number];
  uint32_t last = 0;
  bool has_last = false;
  for (const uint32_t id : ids) {
    if (!held.empty() && id > *held.begin()) continue;
    last = has_last ? std::max(last, id) : id;
    has_last = true;
  }
  if (has_last) put_verdict(NFQNL_MSG_VERDICT_BATCH, number, last, NF_ACCEPT, {});
  for (const uint32_t id : ids)
    if (!has_last || id > last) put_verdict(NFQNL_MSG_VERDICT, number, id, NF_ACCEPT, {});
  ids.clear();
}

void Queue::put_verdict(uint8_t type, uint16_t number, uint32_t id, uint32_t verdict, std::span<const uint8_t> packet) {
  if (messages_.size() + packet.size() > messages_per_send) send_messages();
  const std::size_t start = messages_.size();
  messages_.resize(start + 128 + packet.size());
  nlmsghdr* m = mnl_nlmsg_put_header(&messages_[start]);
  m->nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_QUEUE << 8 | type);
  m->nlmsg_flags = NLM_F_REQUEST;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(nfgenmsg)));
  header->nfgen_family = AF_UNSPEC;
  header->version = NFNETLINK_V0;
  header->res_id = htons(number);
  const nfqnl_msg_verdict_hdr answer{htonl(verdict), htonl(id)};
  mnl_attr_put(m, NFQA_VERDICT_HDR, sizeof answer, &answer);
  if (!packet.empty()) mnl_attr_put(m, NFQA_PAYLOAD, packet.size(), packet.data());
  messages_.resize(start + MNL_ALIGN(m->nlmsg_len));
}

// Netlink does not block here: the kernel carries the verdicts out inside the send.
void Queue::send_messages() {
  if (messages_.empty()) return;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const void* address = &kernel;
  while (sendto(fd(), messages_.data(), messages_.size(), 0, static_cast<const sockaddr*>(address), sizeof kernel) < 0)
    if (errno != EINTR) {
      ++counters_.refused_verdicts;
      break;
    }
  messages_.clear();
}

} // namespace sipalg
