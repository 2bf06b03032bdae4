// SPDX-License-Identifier: GPL-2.0-or-later
// A packet as the kernel puts it into a queue message (nfnetlink_queue.c), read in one walk.
#pragma once
#include <algorithm>
#include <arpa/inet.h>
#include <cstdint>
#include <cstring>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <span>

namespace sipalg {

// What of a queue message is of use. Views borrow from it; 0 and empty: it is not there.
struct PacketAttributes {
  std::span<const uint8_t> header, payload;
  const nlattr* conntrack = nullptr;
  uint32_t indev = 0, outdev = 0, mark = 0, conntrack_info = 0;
  bool has_payload = false, has_info = false;

  explicit PacketAttributes(std::span<const uint8_t> bytes) {
    const uint8_t* at = bytes.data();
    nlattr attribute{};
    for (std::size_t left = bytes.size(); left >= sizeof attribute;) {
      std::memcpy(&attribute, at, sizeof attribute);
      if (attribute.nla_len < sizeof attribute || attribute.nla_len > left) return;
      take(attribute.nla_type & NLA_TYPE_MASK, {at + sizeof attribute, attribute.nla_len - sizeof attribute});
      const std::size_t step = std::min<std::size_t>(NLA_ALIGN(attribute.nla_len), left);
      at += step, left -= step;
    }
  }
  static uint32_t number(std::span<const uint8_t> bytes) {
    uint32_t value = 0;
    if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return ntohl(value);
  }

 private:
  void take(int type, std::span<const uint8_t> value) {
    const void* start = value.data() - sizeof(nlattr);
    switch (type) {
    case NFQA_PACKET_HDR:
      header = value;
      break;
    case NFQA_PAYLOAD:
      payload = value, has_payload = true;
      break;
    case NFQA_IFINDEX_INDEV:
      indev = number(value);
      break;
    case NFQA_IFINDEX_OUTDEV:
      outdev = number(value);
      break;
    case NFQA_MARK:
      mark = number(value);
      break;
    case NFQA_CT:
      conntrack = static_cast<const nlattr*>(start);
      break;
    case NFQA_CT_INFO:
      conntrack_info = number(value), has_info = true;
      break;
    default:
      break;
    }
  }
};

} // namespace sipalg
