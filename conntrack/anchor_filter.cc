// SPDX-License-Identifier: GPL-2.0-or-later
// Wakes the keeper for its own anchors only: a socket filter.
#include <arpa/inet.h>
#include <array>
#include <linux/filter.h>
#include <sys/socket.h>
#include <system_error>

#include "conntrack/ctnetlink.h"

namespace sipalg {
namespace {

// An event: nlmsghdr, nfgenmsg, attributes. Number 1 of them is CTA_TUPLE_ORIG of a conntrack and CTA_EXPECT_MASTER of an
// expectation, both built alike: in it CTA_TUPLE_IP, in it the source address.
constexpr uint32_t portid_offset = 12, family_offset = 16, attributes_offset = 20;
constexpr uint32_t tuple_attribute = 1, source_offset = 12; // from the attribute's start
constexpr uint32_t v4_anchors = 0x7f4d0000, v4_mask = 0xffff0000; // 127.77.0.0/16
constexpr std::array<uint32_t, 3> v6_anchors{0x01000000, 0, 0};   // 100::1:0/112
constexpr uint32_t v6_last = 0x00010000, v6_last_mask = 0xffff0000;
constexpr uint32_t whole = UINT32_MAX;

sock_filter load(uint16_t width, uint32_t offset) { return BPF_STMT(static_cast<uint16_t>(BPF_LD | width | BPF_ABS), offset); }
sock_filter load_of_tuple(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_IND, offset); }
sock_filter plain(uint16_t code, uint32_t value) { return BPF_STMT(code, value); }
sock_filter mask(uint32_t bits) { return BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits); }
sock_filter if_equal(uint32_t value, uint8_t then, uint8_t otherwise) { return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise); }
sock_filter end(uint32_t bytes) { return BPF_STMT(BPF_RET | BPF_K, bytes); }

} // namespace

// Numbers are loaded as network order: the port id, which stands in host order, is compared turned round. A load beyond the
// message's end drops it.
void attach_anchor_filter(int fd, uint32_t own_portid) {
  std::array program{
      load(BPF_W, portid_offset), if_equal(htonl(own_portid), own_portid != 0 ? 20 : 0, 0),
      // the tuple's offset, 0 for none, goes to X
      plain(BPF_LDX | BPF_IMM, tuple_attribute), plain(BPF_LD | BPF_IMM, attributes_offset),
      load(BPF_W, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR)), if_equal(0, 16, 0), plain(BPF_MISC | BPF_TAX, 0),
      load(BPF_B, family_offset), if_equal(AF_INET6, 3, 0),
      // IPv4
      load_of_tuple(source_offset), mask(v4_mask), if_equal(v4_anchors, 9, 10),
      // IPv6
      load_of_tuple(source_offset), if_equal(v6_anchors[0], 0, 8),
      load_of_tuple(source_offset + 4), if_equal(v6_anchors[1], 0, 6),
      load_of_tuple(source_offset + 8), if_equal(v6_anchors[2], 0, 4),
      load_of_tuple(source_offset + 12), mask(v6_last_mask), if_equal(v6_last, 0, 1),
      end(whole), end(0),
  };
  const sock_fprog code{static_cast<uint16_t>(program.size()), program.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof code) < 0) throw std::system_error(errno_code(errno), "conntrack event filter");
}

} // namespace sipalg
