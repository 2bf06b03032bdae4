// SPDX-License-Identifier: GPL-2.0-or-later
// bare_queue accept | bare_queue replace FILE: the ground under every ALG in user space, without an ALG.
//
// How it works. Brings packets from and to port 5060 to a queue of its own, behind the same hook as sipalgd, and answers
// in batches: with a plain accept, or with a payload of the length that mapping gives and whole new checksums, but made
// without reading a byte of SIP. FILE: lines of `load_generator --lengths`. Its nftables table ends with it.
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "alg/packet/datagram.h"
#include "conntrack/nft.h"

namespace sipalg::load {
namespace {

constexpr uint16_t queue_number = 5100, sip_port = 5060;
constexpr uint32_t longest = 8192;  // as sipalgd's
constexpr std::size_t packets_per_read = 32, largest_message = 72 << 10;

// What begins with these bytes is to have so many; by how many it has.
struct Length {
  std::string beginning;
  std::size_t after;
};
using Lengths = std::vector<std::vector<Length>>;

Lengths read_lengths(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::system_error(errno, std::system_category(), path);
  Lengths lengths(65'536);
  std::string beginning;
  std::size_t before = 0, after = 0;
  while (file >> beginning >> before >> after) lengths.at(before).push_back({beginning, after});
  return lengths;
}

std::error_code install(NetlinkSocket& socket, bool native) {
  const std::string table = "bare_queue", chain = "out";
  NetlinkBatch batch;
  nft::begin_batch(batch);
  nft::put_table(batch, table);
  const nft::Hook hook{NF_INET_POST_ROUTING, 150, "filter"};
  nft::put_chain(batch, table, chain, &hook);
  const uint16_t port = htons(sip_port);
  uint8_t bytes[2];
  std::memcpy(bytes, &port, sizeof port);
  for (const uint8_t protocol : {IPPROTO_UDP, IPPROTO_TCP})
    for (const uint32_t offset : {0U, 2U})
      nft::Rule(table, chain)
          .meta(NFT_META_L4PROTO, 0)
          .equals_byte(0, protocol)
          .transport(offset, 2, 0)
          .equals(0, bytes)
          .queue(queue_number, native)
          .put(batch);
  nft::end_batch(batch);
  return first_error(socket.exchange(batch, {}, NetlinkSocket::everything));
}

void bind_queue(NetlinkSocket& socket) {
  NetlinkBatch batch;
  nlmsghdr* m = batch.begin_netfilter(NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, queue_number);
  const nfqnl_msg_config_cmd command{NFQNL_CFG_CMD_BIND, 0, htons(AF_INET)};
  mnl_attr_put(m, NFQA_CFG_CMD, sizeof command, &command);
  batch.end();
  m = batch.begin_netfilter(NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, queue_number);
  nfqnl_msg_config_params parameters{};
  parameters.copy_range = htonl(0xffff);
  parameters.copy_mode = NFQNL_COPY_PACKET;
  mnl_attr_put(m, NFQA_CFG_PARAMS, sizeof parameters, &parameters);
  mnl_attr_put_u32(m, NFQA_CFG_QUEUE_MAXLEN, htonl(longest));
  batch.end();
  if (const auto error = first_error(socket.exchange(batch))) throw std::system_error(error, "netfilter queue");
}

using Attributes = std::array<const nlattr*, NFQA_MAX + 1>;

int keep(const nlattr* attribute, void* found) {
  auto& attributes = *static_cast<Attributes*>(found);
  if (const auto type = mnl_attr_get_type(attribute); type < attributes.size()) attributes[type] = attribute;
  return MNL_CB_OK;
}

class BareQueue {
 public:
  BareQueue(NetlinkSocket& socket, const Lengths& lengths)
      : socket_(socket), lengths_(lengths), bytes_(packets_per_read * largest_message) {}

  void turn() {
    std::array<iovec, packets_per_read> parts{};
    std::array<mmsghdr, packets_per_read> messages{};
    for (std::size_t i = 0; i < packets_per_read; ++i) {
      parts[i] = {&bytes_[i * largest_message], largest_message};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got = recvmmsg(socket_.fd(), messages.data(), packets_per_read, MSG_WAITFORONE, nullptr);
    for (int i = 0; i < got; ++i) {
      const auto at = static_cast<std::size_t>(i);
      int left = static_cast<int>(messages[at].msg_len);
      for (auto* m = static_cast<const nlmsghdr*>(parts[at].iov_base); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
        if (m->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) take(*m);
    }
    if (accepted_ != 0) put(NFQNL_MSG_VERDICT_BATCH, std::exchange(accepted_, 0), {});
    send_all();
  }

 private:
  void take(const nlmsghdr& message) {
    Attributes attributes{};
    mnl_attr_parse(&message, sizeof(nfgenmsg), keep, &attributes);
    if (attributes[NFQA_PACKET_HDR] == nullptr || attributes[NFQA_PAYLOAD] == nullptr) return;
    uint32_t id = 0;  // as the kernel wrote it
    std::memcpy(&id, mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]), sizeof id);
    const std::span packet(static_cast<const uint8_t*>(mnl_attr_get_payload(attributes[NFQA_PAYLOAD])),
                           mnl_attr_get_payload_len(attributes[NFQA_PAYLOAD]));
    if (lengths_.empty()) {  // a batch verdict answers everything up to its number
      accepted_ = id;
      return;
    }
    if (messages_.size() + 2 * packet.size() > (64 << 10)) send_all();
    put(NFQNL_MSG_VERDICT, id, replaced(packet) ? std::span<const uint8_t>(replacement_) : std::span<const uint8_t>());
  }

  bool replaced(std::span<const uint8_t> packet) {
    const auto view = view_datagram(packet);
    if (!view || view->protocol != Protocol::udp) return false;
    const std::string_view payload = view->payload();
    for (const Length& length : lengths_[payload.size()]) {
      if (!payload.starts_with(length.beginning)) continue;
      payload_.assign(payload);
      payload_.resize(length.after, ' ');
      replace_payload(*view, payload_, false, replacement_);
      return true;
    }
    return false;
  }

  void put(uint8_t type, uint32_t id_in_network_order, std::span<const uint8_t> packet) {
    const std::size_t start = messages_.size();
    messages_.resize(start + 64 + packet.size());
    nlmsghdr* m = mnl_nlmsg_put_header(&messages_[start]);
    m->nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_QUEUE << 8 | type);
    m->nlmsg_flags = NLM_F_REQUEST;
    auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(nfgenmsg)));
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(queue_number);
    const nfqnl_msg_verdict_hdr verdict{htonl(NF_ACCEPT), id_in_network_order};
    mnl_attr_put(m, NFQA_VERDICT_HDR, sizeof verdict, &verdict);
    if (!packet.empty()) mnl_attr_put(m, NFQA_PAYLOAD, packet.size(), packet.data());
    messages_.resize(start + MNL_ALIGN(m->nlmsg_len));
  }

  void send_all() {
    if (!messages_.empty()) send(socket_.fd(), messages_.data(), messages_.size(), 0);
    messages_.clear();
  }

  NetlinkSocket& socket_;
  const Lengths& lengths_;
  std::vector<uint8_t> bytes_, messages_, replacement_;
  std::string payload_;
  uint32_t accepted_ = 0;
};

volatile std::sig_atomic_t is_over = 0;

void run(const Lengths& lengths) {
  struct sigaction end{};
  end.sa_handler = [](int) { is_over = 1; };
  sigaction(SIGTERM, &end, nullptr);
  NetlinkSocket queue(NETLINK_NETFILTER, 0, 32 << 20), rules(NETLINK_NETFILTER);
  bind_queue(queue);
  if (install(rules, true))
    if (const auto error = install(rules, false)) throw std::system_error(error, "nftables");
  std::puts("ready");
  std::fflush(stdout);
  BareQueue bare(queue, lengths);
  while (!is_over) bare.turn();
}

}  // namespace
}  // namespace sipalg::load

int main(int count, char** words) {
  const std::string mode = count > 1 ? words[1] : "";
  if (!(mode == "accept" && count == 2) && !(mode == "replace" && count == 3)) {
    std::fputs("usage: bare_queue accept | bare_queue replace FILE\n", stderr);
    return 2;
  }
  try {
    sipalg::load::run(mode == "replace" ? sipalg::load::read_lengths(words[2]) : sipalg::load::Lengths{});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bare_queue: %s\n", error.what());
    return 1;
  }
  return 0;
}
