// SPDX-License-Identifier: GPL-2.0-or-later
// Where rules find what they look at: in headers and in conntrack.
#pragma once
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "conntrack/ruleset.h"

namespace sipalg::ruleset {

inline constexpr int original = IP_CT_DIR_ORIGINAL, reply = IP_CT_DIR_REPLY;

// Where things stand in an IP header, and how many registers an address takes.
struct Layout {
  nft::Type address_type;
  uint32_t source, destination, length;
  unsigned words;
  uint32_t ct_source, ct_destination;
};
inline constexpr Layout layout_v4{nft::ipv4_address, 12, 16, 4, 1, NFT_CT_SRC_IP, NFT_CT_DST_IP};
inline constexpr Layout layout_v6{nft::ipv6_address, 8, 24, 16, 4, NFT_CT_SRC_IP6, NFT_CT_DST_IP6};
inline const Layout& layout_of(Family family) { return family == Family::v6 ? layout_v6 : layout_v4; }

// Where in a conntrack signalling shows. The conntrack's ports, not the header's: a header shows only half of a flow whose port
// was translated.
struct Side {
  bool is_source;
  int direction;
  uint32_t port() const { return is_source ? NFT_CT_PROTO_SRC : NFT_CT_PROTO_DST; }
  uint32_t address(const Layout& l) const { return is_source ? l.ct_source : l.ct_destination; }
};
inline constexpr std::array<Side, 3> sides{{{false, original}, {true, original}, {true, reply}}};

} // namespace sipalg::ruleset
