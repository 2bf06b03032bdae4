// SPDX-License-Identifier: GPL-2.0-or-later
// The first look at every packet that leaves the router. ruleset_text.cc says the same in nft's language: change both.
#include <linux/netfilter.h>
#include <linux/udp.h>

#include <cstddef>

#include "conntrack/ruleset_layout.h"

namespace sipalg::ruleset {
namespace {

// What begins as RTP does and goes to no port of the service. Compared with each port: that the kernel does in place, for a set
// it calls functions (nft_do_chain), which cost several percent of a packet's way through the router. They are limits::service_ports
// at most, and a rule has room for 128 expressions.
void put_media_rule(NetlinkBatch& batch, const SteeringOptions& options) {
  nft::Rule media(options.table, first_look);
  media.meta(NFT_META_L4PROTO, 0).equals_byte(0, static_cast<uint8_t>(Protocol::udp)).transport(sizeof(udphdr), 1, 0);
  media.mask_byte(0, 0xc0).equals_byte(0, 0x80).transport(offsetof(udphdr, dest), 2, 0);
  for (const uint16_t port : options.udp_ports) media.differs(0, port_key(port));
  media.verdict(static_cast<uint32_t>(NFT_RETURN)).put(batch);
}

// Before the look at media, which would let go what of it leaves by the wrong uplink. Only the direction that began the flow, as
// for the kernel's masquerade (nf_nat_oif_changed in nf_nat_core.c): the other one has the address it was asked at.
void put_foreign_rule(NetlinkBatch& batch, const SteeringOptions& options, Family family) {
  const Layout& l = layout_of(family);
  nft::Rule(options.table, first_look)
      .meta(NFT_META_NFPROTO, 0)
      .equals_byte(0, family == Family::v6 ? NFPROTO_IPV6 : NFPROTO_IPV4)
      .meta(NFT_META_L4PROTO, 0)
      .equals_byte(0, static_cast<uint8_t>(Protocol::udp))
      .meta(NFT_META_OIF, 0)
      .network(l.source, l.length, 1)
      .in_set(0, foreign_set(family))
      .ct(NFT_CT_DIRECTION, -1, 0)
      .equals_byte(0, original)
      .verdict(static_cast<uint32_t>(NFT_GOTO), foreign_set(family))
      .put(batch);
}

} // namespace

// Three lookups are all that others pay, unless they are signalling, or there are several uplinks.
void put_first_look(NetlinkBatch& batch, const SteeringOptions& options) {
  for (const Family family : families)
    if (has_foreign(options, family) && !options.manual) put_foreign_rule(batch, options, family);
  put_media_rule(batch, options);
  for (const Side& side : sides)
    nft::Rule(options.table, first_look)
        .ct(side.port(), side.direction, 0)
        .in_set(0, signalling_ports)
        .verdict(static_cast<uint32_t>(NFT_GOTO), "signalling")
        .put(batch);
}

} // namespace sipalg::ruleset
