// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/header_map.h"

#include "alg/base/limits.h"
#include "alg/rewrite/host_port.h"

namespace sipalg {
namespace {

bool lasts(Purpose purpose) { return purpose != Purpose::via; }

}  // namespace

// A door of its own is refused (fails the group), a name of another host is not (the field stays).
bool HeaderMap::is_allowed(const Endpoint& inside, Standing standing) {
  if (standing == Standing::other && !may_name(rules_, passage_, inside.address)) {
    note_third_party(rules_, passage_, inside.address);
    return false;
  }
  if (inside.port < limits::lowest_port) {
    group_.fail(Reason::low_port);
    return false;
  }
  return true;
}

std::optional<Endpoint> HeaderMap::map_living(Protocol protocol, const Endpoint& inside) {
  const Door* door = rules_.doors.find_signalling(protocol, inside, passage_.me.outside.address, passage_.peer.address);
  if (door) return door->kernel.outside;
  if (inside == passage_.me.inside && protocol == passage_.protocol) return passage_.me.outside;
  return std::nullopt;
}

std::optional<Endpoint> HeaderMap::claim(Protocol protocol, const Endpoint& inside, Purpose purpose,
                                         std::vector<DoorId>& owned) {
  DoorTable::SignallingWish wish;
  wish.protocol = protocol;
  wish.inside = inside;
  wish.outside_address = passage_.me.outside.address;
  wish.own_mapping = inside == passage_.me.inside && protocol == passage_.protocol ? passage_.me.outside.port : uint16_t{0};
  wish.purpose = purpose;
  wish.zone = passage_.zone;
  for (const Network& scope : scopes_for(rules_.policy, passage_.peer.address)) {
    wish.scope = scope;
    const auto door = rules_.doors.claim_signalling(wish, passage_.now);
    if (door) {
      reserving_ ? group_.reserved(*door) : group_.claimed(*door);
      fields = fields | current_;
      owned.push_back(*door);
      wish.exactly = rules_.doors.find(*door)->kernel.outside.port;
    } else if (wish.exactly == 0) {
      group_.fail(door.error());
      return std::nullopt;
    } else {
      rules_.stats.count(Event::doors_refused);  // a network of signalling-peers finds this port taken
    }
    if (!lasts(purpose)) break;
  }
  return Endpoint{passage_.me.outside.address, wish.exactly};
}

// Where this inside endpoint is known outside; nothing: the field stays as it is.
std::optional<Endpoint> HeaderMap::map(Protocol protocol, const Endpoint& inside, Purpose purpose,
                                       std::vector<DoorId>& owned) {
  const Standing standing = standing_of(rules_, passage_, inside.address);
  if (standing == Standing::outside_own) wrote_outside_itself = true;
  if (standing != Standing::own && standing != Standing::other) return std::nullopt;
  if (!may_create_) return map_living(protocol, inside);
  const bool living =
      rules_.doors.find_signalling(protocol, inside, passage_.me.outside.address, passage_.peer.address) != nullptr;
  if (!living && !is_allowed(inside, standing)) return std::nullopt;
  return claim(protocol, inside, purpose, owned);
}

void HeaderMap::write_host_port(const sip::HostPort& host_port, Field field, const Endpoint& outside,
                                std::vector<Given>& list) {
  const std::string text = host_port_text(outside, host_port.port.is_set());
  const std::string_view before = passage_.text(host_port.whole());
  remember(list, {field, outside, std::string(before)});
  if (before != text) group_.edit(host_port.whole(), field, text);
}

// A URI whose host is the endpoint is replaced whole; behind maddr only maddr and the port.
void HeaderMap::write(const sip::Uri& uri, Field field, const Endpoint& inside, const Endpoint& outside) {
  if (inside == outside) return;
  if (!uri.maddr.host.is_set()) return write_host_port(uri.host, field, outside, givens);
  remember(givens, {field, {outside.address, 0}, std::string(passage_.text(uri.maddr.host))});
  group_.edit(uri.maddr.host, field, host_text(outside.address));
  if (uri.host.address == inside.address) return write_host_port(uri.host, field, outside, givens);
  if (uri.host.port.is_set() && uri.host.port_number != outside.port)
    group_.edit(uri.host.port, field, std::to_string(outside.port));
}

void HeaderMap::map_uri(const sip::Uri& uri, Field field, Purpose purpose) {
  const auto inside = endpoint_of(uri);
  if (!inside) return;
  if (const auto outside = map(protocol_of(uri, passage_.protocol), *inside, purpose, doors))
    write(uri, field, *inside, *outside);
}

// The response may come to the packet's source although sent-by names another port: both get their door.
void HeaderMap::via_source_door(const sip::Via& via, const Endpoint& sent_by) {
  if (!via.has_rport || sent_by == passage_.me.inside || !may_create_) return;
  if (passage_.me.inside.port >= limits::lowest_port)
    (void)claim(passage_.protocol, passage_.me.inside, Purpose::via, via_doors);
}

void HeaderMap::via() {
  current_ = sip::Compared::top_via;
  const sip::Via& via = passage_.message.vias.front();
  const bool is_name = !via.sent_by.address;
  const uint16_t port = via.sent_by.port.is_set() ? via.sent_by.port_number : sip_port;
  const Endpoint sent_by{is_name ? passage_.me.inside.address : *via.sent_by.address, port};
  const auto outside = map(passage_.protocol, sent_by, Purpose::via, via_doors);
  if (group_.failed()) return;
  via_source_door(via, sent_by);
  if (!outside || *outside == sent_by) return;
  if (via.maddr.address == sent_by.address) {
    remember(via_givens, {Field::via, {outside->address, 0}, std::string(passage_.text(via.maddr.host))});
    group_.edit(via.maddr.host, Field::via, host_text(outside->address));
  }
  if (!is_name) return write_host_port(via.sent_by, Field::via, *outside, via_givens);
  if (outside->port == port) return;
  const std::string_view name = passage_.text(via.sent_by.host);
  remember(via_givens, {Field::via, {{}, outside->port}, std::string(passage_.text(via.sent_by.whole()))});
  group_.edit(via.sent_by.whole(), Field::via, std::string(name) + ":" + std::to_string(outside->port));
}

// The doors of a REGISTER wait for its 2xx.
void HeaderMap::map_registration(const sip::NameAddr& contact) {
  const auto inside = endpoint_of(contact.uri);
  if (!inside || standing_of(rules_, passage_, inside->address) != Standing::own) {
    if (inside && inside->address == passage_.me.outside.address) wrote_outside_itself = true;
    return;
  }
  RegistrationWish wish;
  const auto outside = map(protocol_of(contact.uri, passage_.protocol), *inside, Purpose::contact, wish.doors);
  if (!outside) return;
  write(contact.uri, Field::contact, *inside, *outside);
  wish.inside = *inside;
  wish.given = *outside;
  wish.before = passage_.text(contact.uri.host.whole());
  wish.asked = contact.expires ? contact.expires : passage_.message.expires;
  wishes.push_back(std::move(wish));
}

void HeaderMap::contacts(bool own_only) {
  current_ = sip::Compared::contact;
  reserving_ = own_only;
  for (const sip::NameAddr& contact : passage_.message.contacts) {
    if (contact.is_star) continue;
    if (own_only) {
      map_registration(contact);
      continue;
    }
    const std::size_t before = doors.size();
    map_uri(contact.uri, Field::contact, Purpose::contact);
    for (std::size_t i = before; i < doors.size(); ++i) {
      Door* door = rules_.doors.find(doors[i]);
      door->contact_text = passage_.text(contact.uri.host.whole());
      door->contact_user = passage_.text(contact.uri.user);
    }
  }
  reserving_ = false;
}

void HeaderMap::record_routes() {
  current_ = sip::Compared::record_route;
  for (const sip::NameAddr& value : passage_.message.record_routes) map_uri(value.uri, Field::record_route, Purpose::route);
}

void HeaderMap::paths() {
  current_ = sip::Compared::path;
  for (const sip::NameAddr& value : passage_.message.paths) map_uri(value.uri, Field::path, Purpose::path);
}

void HeaderMap::service_routes() {
  current_ = sip::Compared::service_route;
  for (const sip::NameAddr& value : passage_.message.service_routes)
    map_uri(value.uri, Field::service_route, Purpose::route);
}

// The inside party's own URI, the host alone (sip-rules section 1).
void HeaderMap::from() {
  const sip::Uri& uri = passage_.message.from.uri;
  if (passage_.message.has_identity || uri.host.address != passage_.me.inside.address) return;
  const std::string text = host_text(passage_.me.outside.address);
  if (passage_.text(uri.host.host) == text) return;
  remember(givens, {Field::from, {passage_.me.outside.address, 0}, std::string(passage_.text(uri.host.host))});
  group_.edit(uri.host.host, Field::from, text);
}

void HeaderMap::to(const std::vector<Given>& given) {
  const sip::Uri& uri = passage_.message.to.uri;
  if (passage_.message.has_identity || uri.host.address != passage_.me.inside.address) return;
  const Endpoint outside{passage_.me.outside.address, 0};
  if (find_given(given, Field::from, outside)) group_.edit(uri.host.host, Field::to, host_text(outside.address));
}

void HeaderMap::refer_to() {
  const sip::Uri& uri = passage_.message.refer_to.uri;
  const auto inside = endpoint_of(uri);
  if (!inside) return;
  const Protocol protocol = protocol_of(uri, passage_.protocol);
  const Door* door = rules_.doors.find_signalling(protocol, *inside, passage_.me.outside.address, passage_.peer.address);
  if (door) write(uri, Field::refer_to, *inside, door->kernel.outside);
}

}  // namespace sipalg
