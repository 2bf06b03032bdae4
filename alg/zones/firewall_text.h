// SPDX-License-Identifier: GPL-2.0-or-later
// The zone policy as a complete nftables ruleset, for `nft -f` and for people. Stable: the same policy, the same text.
//
// How it works. One table that takes the place of its earlier self in one transaction. A zone is a set of interface
// names, a pair a chain:
//     forward   established -> same zone -> none in a zone -> pair.A.B, or back.A.B where only B -> A is a pair -> drop
//     input     where a pair leads to self: established -> loopback -> essentials -> pair.A.self, which drops the rest
//     output    the same for pairs that begin at self
// The doors of calls are expectations under helper "sip" (conntrack/nf_door_keeper.h): their first packets are
// `related`, and `ct helper "sip"`, until answered, and then `established`. They pass in pairs that inspect sip, in
// both directions, and nowhere else: a `ct state related accept` for all would let a third zone through a wildcard door
// (test/net: related_of_another_pair_is_dropped). Never to self: doors do not lead to the router (rules, section 7),
// and a pinhole whose translation died with the daemon would.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "alg/zones/zone_policy.h"

namespace sipalg {

// `sip_ports`: ascending. `file`: where the policy stands, for the comments. The policy is sound, as the configuration's reader leaves it.
std::string firewall_text(const ZonePolicy& policy, std::span<const uint16_t> sip_ports, std::string_view file);
// Takes the table away; no error where there is none.
std::string firewall_removal_text();

} // namespace sipalg
