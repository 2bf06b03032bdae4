// SPDX-License-Identifier: GPL-2.0-or-later
// The router's own addresses, the networks behind it, and interface MTUs.
#include "conntrack/links.h"

#include <algorithm>
#include <array>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <span>

namespace sipalg {
namespace {

constexpr unsigned groups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
constexpr uint32_t usual_mtu = 1500;

// The attributes behind a header, by their number.
class Attributes {
 public:
  Attributes(const nlmsghdr& message, std::size_t header) {
    mnl_attr_parse(&message, static_cast<unsigned>(header), keep, this);
  }
  Attributes(const void* start, std::size_t length) { mnl_attr_parse_payload(start, length, keep, this); }
  const nlattr* operator[](std::size_t type) const { return found_[type]; }
  uint32_t number(std::size_t type) const {
    return found_[type] != nullptr && mnl_attr_get_payload_len(found_[type]) >= 4 ? mnl_attr_get_u32(found_[type]) : 0;
  }
  Address address(std::size_t type) const {
    if (found_[type] == nullptr) return {};
    return Address::from_bytes(
        {static_cast<const uint8_t*>(mnl_attr_get_payload(found_[type])), mnl_attr_get_payload_len(found_[type])});
  }

 private:
  static int keep(const nlattr* attribute, void* self) {
    auto& found = static_cast<Attributes*>(self)->found_;
    if (const auto type = mnl_attr_get_type(attribute); type < found.size()) found[type] = attribute;
    return MNL_CB_OK;
  }
  std::array<const nlattr*, 64> found_{};
};

template <typename Header> const Header& header_of(const nlmsghdr& message) {
  return *static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

// Interfaces of the next hops of a route over several of them.
void append_hops(const nlattr& multipath, std::vector<uint32_t>& interfaces) {
  const auto* place = static_cast<const uint8_t*>(mnl_attr_get_payload(&multipath));
  std::size_t left = mnl_attr_get_payload_len(&multipath);
  while (left >= sizeof(rtnexthop)) {
    const void* start = place;
    const auto& hop = *static_cast<const rtnexthop*>(start);
    if (hop.rtnh_len < sizeof(rtnexthop) || hop.rtnh_len > left) return;
    interfaces.push_back(static_cast<uint32_t>(hop.rtnh_ifindex));
    const std::size_t step = std::min<std::size_t>(left, (hop.rtnh_len + 3U) & ~3U);
    place += step;
    left -= step;
  }
}

// Nexthop objects by their number (ip-nexthop(8)): with net.ipv4.nexthop_compat_mode=0 a route tells nothing else.
class Nexthops {
 public:
  void note(const nlmsghdr& message) {
    const Attributes attributes(message, sizeof(nhmsg));
    if (const uint32_t out = attributes.number(NHA_OIF)) interfaces_[attributes.number(NHA_ID)] = out;
    if (const nlattr* group = attributes[NHA_GROUP]) {
      const auto* members = static_cast<const nexthop_grp*>(mnl_attr_get_payload(group));
      for (std::size_t i = 0; i < mnl_attr_get_payload_len(group) / sizeof(nexthop_grp); ++i)
        groups_[attributes.number(NHA_ID)].push_back(members[i].id);
    }
  }
  void append(uint32_t id, std::vector<uint32_t>& interfaces) const {
    if (const auto one = interfaces_.find(id); one != interfaces_.end()) interfaces.push_back(one->second);
    if (const auto group = groups_.find(id); group != groups_.end())
      for (const uint32_t member : group->second)
        if (const auto one = interfaces_.find(member); one != interfaces_.end()) interfaces.push_back(one->second);
  }

 private:
  std::map<uint32_t, uint32_t> interfaces_;
  std::map<uint32_t, std::vector<uint32_t>> groups_;
};

// Of a route that is no default route.
bool is_about_detail(const nlmsghdr& event) {
  return (event.nlmsg_type == RTM_NEWROUTE || event.nlmsg_type == RTM_DELROUTE) && header_of<rtmsg>(event).rtm_dst_len != 0;
}

bool is_link_local(const Address& address) {
  const auto b = address.bytes();
  if (address.family() == Family::v4) return b[0] == 169 && b[1] == 254;
  return b.size() == 16 && b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

Address zero(uint8_t family) { return family == AF_INET6 ? Address::v6({}) : Address::v4({}); }

} // namespace

Links::Links() : events_(NETLINK_ROUTE, groups), socket_(NETLINK_ROUTE) { read(); }

void Links::dump(uint16_t type, const NetlinkSocket::OnMessage& on_message) {
  NetlinkBatch request;
  nlmsghdr* m = request.begin(type, 0);
  // of nexthops the kernel wants the whole header; the family comes first in each
  auto* header = static_cast<nhmsg*>(mnl_nlmsg_put_extra_header(m, type == RTM_GETNEXTHOP ? sizeof(nhmsg) : sizeof(rtgenmsg)));
  header->nh_family = AF_UNSPEC;
  request.end();
  const auto result = socket_.dump(request, on_message);
  if (!result && type != RTM_GETNEXTHOP) throw std::system_error(result.error(), "rtnetlink");  // there are none before Linux 5.3
}

void Links::read() {
  own_.clear();
  interfaces_ = {};
  addresses_.clear();
  loopbacks_.clear();
  routes_.clear();
  dump(RTM_GETLINK, [&](const nlmsghdr& m) { on_link(m); });
  dump(RTM_GETADDR, [&](const nlmsghdr& m) { on_address(m); });
  Nexthops nexthops;
  dump(RTM_GETNEXTHOP, [&](const nlmsghdr& m) { nexthops.note(m); });
  dump(RTM_GETROUTE, [&](const nlmsghdr& m) {
    if (const uint32_t nexthop = on_route(m, routes_)) nexthops.append(nexthop, routes_.back().interfaces);
  });
  std::erase_if(translated_, [this](uint32_t interface) { return !addresses_.contains(interface); });
  find_inside();
  find_foreign();
}

void Links::on_link(const nlmsghdr& message) {
  const auto& header = header_of<ifinfomsg>(message);
  const auto interface = static_cast<uint32_t>(header.ifi_index);
  interfaces_.set_mtu(interface, Attributes(message, sizeof header).number(IFLA_MTU));
  addresses_[interface];
  if (header.ifi_flags & IFF_LOOPBACK) loopbacks_.insert(interface);
}

// IFA_LOCAL is ours where the link is point to point; IPv6 has it only there.
void Links::on_address(const nlmsghdr& message) {
  const Attributes attributes(message, sizeof(ifaddrmsg));
  const Address local = attributes.address(attributes[IFA_LOCAL] != nullptr ? IFA_LOCAL : IFA_ADDRESS);
  if (!local.is_set()) return;
  own_.insert(local);
  addresses_[header_of<ifaddrmsg>(message).ifa_index].insert(local);
}

uint32_t Links::on_route(const nlmsghdr& message, std::vector<Route>& routes) {
  const auto& header = header_of<rtmsg>(message);
  if (header.rtm_type != RTN_UNICAST || (header.rtm_flags & RTM_F_CLONED) != 0) return 0;
  if (header.rtm_family != AF_INET && header.rtm_family != AF_INET6) return 0;
  const Attributes attributes(message, sizeof header);
  Route route;
  route.network = {attributes[RTA_DST] != nullptr ? attributes.address(RTA_DST) : zero(header.rtm_family),
                   header.rtm_dst_len};
  route.table = attributes[RTA_TABLE] != nullptr ? attributes.number(RTA_TABLE) : header.rtm_table;
  route.metric = attributes.number(RTA_PRIORITY);
  if (const uint32_t out = attributes.number(RTA_OIF)) route.interfaces.push_back(out);
  if (attributes[RTA_MULTIPATH] != nullptr) append_hops(*attributes[RTA_MULTIPATH], route.interfaces);
  const bool has_interface = !route.interfaces.empty();
  routes.push_back(std::move(route));
  return has_interface ? 0 : attributes.number(RTA_NH_ID);
}

// An interface with a default route of either family, in any table, leads outside for both.
void Links::find_inside() {
  std::set<uint32_t> outward = loopbacks_;
  outward.insert(translated_.begin(), translated_.end());
  for (const Route& route : routes_)
    if (route.network.prefix == 0) outward.insert(route.interfaces.begin(), route.interfaces.end());
  std::set<Network> networks;
  for (const Route& route : routes_) {
    const Address& address = route.network.address;
    if (route.network.prefix == 0 || is_link_local(address) || address.is_multicast() || address.is_loopback())
      continue;
    const auto is_outward = [&](uint32_t interface) { return outward.contains(interface); };
    if (!route.interfaces.empty() && std::none_of(route.interfaces.begin(), route.interfaces.end(), is_outward))
      networks.insert(route.network);
  }
  inside_.assign(networks.begin(), networks.end());
}

bool Links::note_outside(const Address& address) {
  const Route* best = nullptr;
  for (const Route& route : routes_)
    if (route.network.contains(address) && (best == nullptr || route.network.prefix > best->network.prefix)) best = &route;
  if (best == nullptr) return false;
  const auto before = translated_.size();
  translated_.insert(best->interfaces.begin(), best->interfaces.end());
  if (translated_.size() == before) return false;
  find_inside();
  return true;
}

void Links::find_foreign() {
  std::erase_if(uplinks_, [this](uint32_t interface) { return !addresses_.contains(interface); });
  std::map<std::pair<uint32_t, Family>, uint32_t> best;
  for (const Route& route : routes_) {
    if (route.network.prefix != 0) continue;
    uplinks_.insert(route.interfaces.begin(), route.interfaces.end());
    const auto [place, is_new] = best.try_emplace({route.table, route.network.address.family()}, route.metric);
    place->second = std::min(place->second, route.metric);
  }
  std::map<Family, std::set<uint32_t>> in_use;
  for (const Route& route : routes_) {
    const Family family = route.network.address.family();
    if (route.network.prefix == 0 && route.metric == best[{route.table, family}]) in_use[family].insert(route.interfaces.begin(), route.interfaces.end());
  }
  for (const uint32_t uplink : uplinks_)
    for (const Address& address : addresses_[uplink]) {
      const std::set<uint32_t>& used = in_use[address.family()];
      if (used.contains(uplink) || is_link_local(address)) continue;
      for (const uint32_t interface : used)
        if (!addresses_[interface].contains(address)) interfaces_.set_foreign(interface, address);
    }
}

uint32_t Interfaces::mtu(uint32_t interface) const {
  const auto found = mtus_.find(interface);
  return found == mtus_.end() || found->second == 0 ? usual_mtu : found->second;
}

// Messages only say that something happened; lost ones (ENOBUFS) say so too, and get lost where there are very many.
bool Links::on_events() {
  using Clock = std::chrono::steady_clock;
  constexpr int share = 20;
  constexpr std::chrono::milliseconds long_time{5};
  bool is_urgent = false;
  while (!events_.receive([&](const nlmsghdr& m) { is_about_detail(m) ? has_news_ = true : is_urgent = true; })) has_news_ = true;
  const Clock::time_point begin = Clock::now();
  if (!is_urgent && (!has_news_ || begin < next_read_)) return false;
  has_news_ = false;
  const auto own = own_;
  const auto inside = inside_;
  const auto interfaces = interfaces_;
  read();
  const Clock::duration took = Clock::now() - begin;
  next_read_ = took < long_time ? Clock::time_point{} : begin + share * took;
  return own != own_ || inside != inside_ || interfaces != interfaces_;
}

} // namespace sipalg
