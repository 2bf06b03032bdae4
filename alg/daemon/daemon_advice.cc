// SPDX-License-Identifier: GPL-2.0-or-later
// What the administrator should know, at start, after a reload, when it shows. See daemon.h.
#include <algorithm>

#include "alg/daemon/daemon.h"
#include "alg/daemon/kernel_settings.h"
#include "conntrack/ruleset.h"

namespace sipalg {

void Daemon::tell_start() const {
  std::string networks;
  for (const Network& network : inside()) networks += " " + to_string(network);
  log_.info("steering: " + std::string(name_of(steering_.way())) + ", queue " + std::to_string(config_.queue) +
            ", table inet " + config_.table);
  if (config_.workers > 1)
    log_.info("workers: " + std::to_string(config_.workers) + ", queues " + std::to_string(config_.queue) + " to " +
              std::to_string(config_.queue + ruleset::queue_count(config_.workers) - 1));
  log_.info(steering_.births() ? "conntrack tuples: from our births map and by lookup (this kernel gives none with the packet)"
                               : "conntrack tuples: come with each packet");
  log_.info("expectations: the kernel allows " + kernel_setting("net/netfilter/nf_conntrack_expect_max"));
  log_.info("inside:" + (networks.empty() ? " only what the kernel's NAT shows" : networks));
}

void Daemon::tell_advice() {
  if (!keeper_.advice().empty()) log_.warning(keeper_.advice());
  if (steering_.has_flowtables())
    log_.warning("a flowtable is in use: it carries established flows past sipalgd; leave the ports of SIP out of it, udp and tcp: "
                 "a TCP connection whose segments pass sipalgd by gets bytes at wrong places");
  if (kernel_setting("net/netfilter/nf_conntrack_helper") == "1")
    log_.warning("the kernel attaches its own SIP helper to SIP flows and rewrites beside us; "
                 "set net.netfilter.nf_conntrack_helper=0");
  tell_zones();
}

// Seen only when a flow comes: a rule may attach it at any time, as firewalld does for its service sip.
void Daemon::tell_helper() {
  const auto saw = [](const auto& worker) { return worker->saw_helper(); };
  if (helper_is_told_ || !(flows_.saw_helper() || std::ranges::any_of(workers_, saw))) return;
  helper_is_told_ = true;
  log_.warning("a rule of this router attaches the kernel's own SIP helper to SIP flows, and calls lose their audio: it rewrites beside us; "
               "take that rule away (nft: `ct helper set`, iptables: `-j CT --helper sip`, firewalld: `--service=sip --remove-helper=sip`)");
}

}  // namespace sipalg
