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
  const auto door = rules_.doors.find_signalling(protocol, inside, passage_.outside_of(inside.address), passage_.peer.address);
  if (door) return door->outside;
  if (inside == passage_.me.inside && protocol == passage_.protocol) return passage_.me.outside;
  return std::nullopt;
}

DoorTable::SignallingWish HeaderMap::wish_for(Protocol protocol, const Endpoint& inside, Purpose purpose) const {
  DoorTable::SignallingWish wish;
  wish.protocol = protocol;
  wish.inside = inside;
  wish.outside_address = passage_.outside_of(inside.address);
  wish.own_mapping = inside == passage_.me.inside && protocol == passage_.protocol ? passage_.me.outside.port : uint16_t{0};
  wish.purpose = purpose;
  wish.zone = passage_.zone;
  wish.has_twin = has_twin_;
  return wish;
}

std::optional<Endpoint> HeaderMap::claim(Protocol protocol, const Endpoint& inside, Purpose purpose,
                                         Owned& owned) {
  DoorTable::SignallingWish wish = wish_for(protocol, inside, purpose);
  for_each_scope(rules_.policy, passage_.peer.address, [&](const Network& scope) {
    wish.scope = scope;
    const auto door = rules_.doors.claim_signalling(wish, passage_.now);
    if (door) {
      reserving_ ? group_.reserved(*door) : group_.claimed(*door);
      fields = fields | current_;
      owned.push_back(*door);
      wish.exactly = rules_.doors.outside_of(*door).port;
    } else if (wish.exactly == 0) {
      group_.fail(door.error());
    } else {
      rules_.stats.count(Event::doors_refused);  // a network of signalling-peers finds this port taken
    }
    return lasts(purpose) && wish.exactly != 0;
  });
  if (wish.exactly == 0) return std::nullopt;
  return Endpoint{wish.outside_address, wish.exactly};
}

// Where this inside endpoint is known outside; nothing: the field stays as it is.
std::optional<Endpoint> HeaderMap::map(Protocol protocol, const Endpoint& inside, Purpose purpose,
                                       Owned& owned) {
  const Standing standing = standing_of(rules_, passage_, inside.address);
  if (standing == Standing::outside_own) wrote_outside_itself = true;
  if (standing != Standing::own && standing != Standing::other) return std::nullopt;
  if (!may_create_ || passage_.is_own_connection(protocol, inside)) return map_living(protocol, inside);
  const bool living =
      rules_.doors.has_signalling(protocol, inside, passage_.outside_of(inside.address), passage_.peer.address);
  if (!living && !is_allowed(inside, standing)) return std::nullopt;
  return claim(protocol, inside, purpose, owned);
}

// The same outside endpoint over TCP. When it can not be had, whoever reads the URI as it says finds the other door.
void HeaderMap::claim_twin(const Endpoint& inside, const Endpoint& outside, Purpose purpose, Owned& owned) {
  const auto living = rules_.doors.find_signalling(Protocol::tcp, inside, outside.address, passage_.peer.address);
  if (living && living->outside != outside) return;
  DoorTable::SignallingWish wish = wish_for(Protocol::tcp, inside, purpose);
  wish.exactly = outside.port;
  for_each_scope(rules_.policy, passage_.peer.address, [&](const Network& scope) {
    wish.scope = scope;
    const auto door = rules_.doors.claim_signalling(wish, passage_.now);
    if (!door) {
      rules_.stats.count(Event::doors_refused);
      return false;
    }
    reserving_ ? group_.reserved(*door) : group_.claimed(*door);
    owned.push_back(*door);
    return true;
  });
}

// A URI that names no transport and another port than the connection it came by: whoever reads it sends UDP (RFC 3263 section
// 4.1), as to a phone that took TCP for a large request alone (RFC 3261 section 18.1.1); or opens a connection, to one that
// speaks nothing else. One outside endpoint serves both; UDP's is first, for the phone may have been known by it before.
std::optional<Endpoint> HeaderMap::map_endpoint(const sip::Uri& uri, const Endpoint& inside, Purpose purpose, Owned& owned) {
  const bool is_either = uri.transport == sip::Transport::none && passage_.protocol == Protocol::tcp && inside != passage_.me.inside;
  if (!is_either) return map(protocol_of(uri, passage_.protocol), inside, purpose, owned);
  has_twin_ = true;
  const auto outside = map(Protocol::udp, inside, purpose, owned);
  has_twin_ = false;
  if (outside && *outside != inside && may_create_) claim_twin(inside, *outside, purpose, owned);
  return outside;
}

void HeaderMap::write_host_port(const sip::HostPort& host_port, Span user, Field field, const Endpoint& outside,
                                GivenList& list) {
  const AddressText text = host_port_text(outside, host_port.port.is_set());
  const std::string_view before = passage_.text(host_port.whole());
  list.push_back({field, outside, before, passage_.text(user)});
  if (before != text) group_.edit(host_port.whole(), field, text);
}

// A name stays, only the port behind it follows the door.
void HeaderMap::write_name_port(const sip::HostPort& host_port, Span user, Field field, uint16_t port, GivenList& list) {
  if (port == (host_port.port.is_set() ? host_port.port_number : sip_port)) return;
  list.push_back({field, {{}, port}, passage_.text(host_port.whole()), passage_.text(user)});
  group_.edit(host_port.whole(), field, std::string(passage_.text(host_port.host)) + ":" + std::to_string(port));
}

// A URI whose host is the endpoint is replaced whole; behind maddr only maddr and the port.
void HeaderMap::write(const sip::Uri& uri, Field field, const Endpoint& inside, const Endpoint& outside) {
  if (inside == outside) return;
  if (!uri.maddr.host.is_set()) return write_host_port(uri.host, uri.user, field, outside, givens);
  givens.push_back({field, {outside.address, 0}, passage_.text(uri.maddr.host), passage_.text(uri.user)});
  group_.edit(uri.maddr.host, field, host_text(outside.address));
  if (uri.host.address == inside.address) return write_host_port(uri.host, uri.user, field, outside, givens);
  write_name_port(uri.host, uri.user, field, outside.port, givens);
}

void HeaderMap::map_uri(const sip::Uri& uri, Field field, Purpose purpose) {
  const auto inside = endpoint_of(uri);
  if (!inside) return;
  if (const auto outside = map_endpoint(uri, *inside, purpose, doors))
    write(uri, field, *inside, *outside);
}

// The response may come to the packet's source although sent-by names another port: both get their door.
void HeaderMap::via_source_door(const sip::Via& via, const Endpoint& sent_by) {
  if (!via.has_rport || sent_by == passage_.me.inside || !may_create_) return;
  if (passage_.is_own_connection(passage_.protocol, passage_.me.inside)) return;
  if (passage_.me.inside.port >= limits::lowest_port)
    (void)claim(passage_.protocol, passage_.me.inside, Purpose::via, via_doors);
}

// Another address of the sender (VPN, container, second interface) stays as it is; the response goes to the packet's source
// address and this port all the same (RFC 3261 section 18.2.2).
void HeaderMap::foreign_via_door(const sip::Via& via, const Endpoint& sent_by) {
  if (!may_create_ || via.has_rport || passage_.protocol != Protocol::udp || sent_by.port < limits::lowest_port) return;
  if (standing_of(rules_, passage_, sent_by.address) != Standing::foreign) return;
  DoorTable::SignallingWish wish = wish_for(passage_.protocol, {passage_.me.inside.address, sent_by.port}, Purpose::via);
  wish.exactly = sent_by.port;
  wish.scope = scope_of(rules_.policy, passage_.peer.address);
  const auto door = rules_.doors.claim_signalling(wish, passage_.now);
  if (!door) return;
  group_.claimed(*door);
  fields = fields | current_;
  via_doors.push_back(*door);
}

void HeaderMap::via() {
  current_ = sip::Compared::top_via;
  const sip::Via& via = passage_.message.vias.front();
  const bool is_name = !via.sent_by.address;
  const uint16_t port = via.sent_by.port.is_set() ? via.sent_by.port_number : sip_port;
  const Endpoint sent_by{is_name ? passage_.me.inside.address : *via.sent_by.address, port};
  const auto outside = map(passage_.protocol, sent_by, Purpose::via, via_doors);
  via_wrote_outside_itself = wrote_outside_itself;
  if (group_.failed()) return;
  via_source_door(via, sent_by);
  if (!outside) foreign_via_door(via, sent_by);
  if (!outside || *outside == sent_by) return;
  if (via.maddr.address == sent_by.address) {
    via_givens.push_back({Field::via, {outside->address, 0}, passage_.text(via.maddr.host), {}});
    group_.edit(via.maddr.host, Field::via, host_text(outside->address));
  }
  if (!is_name) return write_host_port(via.sent_by, {}, Field::via, *outside, via_givens);
  write_name_port(via.sent_by, {}, Field::via, outside->port, via_givens);
}

// The doors of a REGISTER wait for its 2xx.
void HeaderMap::map_registration(const sip::Uri& uri, bool is_path, std::optional<uint32_t> asked) {
  const auto inside = endpoint_of(uri);
  if (!inside || standing_of(rules_, passage_, inside->address) != Standing::own) {
    if (inside && inside->address == passage_.me.outside.address) wrote_outside_itself = true;
    return;
  }
  SmallList<DoorId, 2> reserved;
  const auto outside = map_endpoint(uri, *inside, is_path ? Purpose::path : Purpose::contact, reserved);
  if (!outside) return;
  RegistrationWish wish;
  wish.doors.assign(reserved.begin(), reserved.end());
  write(uri, is_path ? Field::path : Field::contact, *inside, *outside);
  wish.user = is_path ? "Path" : passage_.text(uri.user);
  wish.is_path = is_path;
  wish.transport = uri.transport;
  wish.inside = *inside;
  wish.given = *outside;
  wish.before = passage_.text(uri.host.whole());
  wish.asked = asked;
  wishes.push_back(std::move(wish));
}

void HeaderMap::contacts(bool own_only) {
  current_ = sip::Compared::contact;
  reserving_ = own_only;
  for (const sip::NameAddr& contact : passage_.message.contacts) {
    if (contact.is_star) continue;
    if (own_only) {
      map_registration(contact.uri, false, contact.expires ? contact.expires : passage_.message.expires);
      continue;
    }
    const std::size_t before = doors.size();
    map_uri(contact.uri, Field::contact, Purpose::contact);
    for (std::size_t i = before; i < doors.size(); ++i)
      rules_.doors.note_contact(doors[i], {passage_.text(contact.uri.host.whole()), passage_.text(contact.uri.user)});
  }
  reserving_ = false;
}

void HeaderMap::record_routes() {
  current_ = sip::Compared::record_route;
  const auto& routes = passage_.message.record_routes;
  for (std::size_t i = 0; i < routes.size() && i < rules_.own_routes; ++i) map_uri(routes[i].uri, Field::record_route, Purpose::route);
}

void HeaderMap::paths() {
  current_ = sip::Compared::path;
  reserving_ = true;
  for (const sip::NameAddr& value : passage_.message.paths) map_registration(value.uri, true, passage_.message.expires);
  reserving_ = false;
}

void HeaderMap::service_routes() {
  current_ = sip::Compared::service_route;
  for (const sip::NameAddr& value : passage_.message.service_routes)
    map_uri(value.uri, Field::service_route, Purpose::route);
}

// The inside party's own URI, the host alone (sip-rules section 1).
void HeaderMap::from(const Address& outside) {
  const sip::Uri& uri = passage_.message.from.uri;
  if (passage_.message.has_identity || uri.host.address != passage_.me.inside.address) return;
  const AddressText text = host_text(outside);
  if (passage_.text(uri.host.host) == text) return;
  givens.push_back({Field::from, {outside, 0}, passage_.text(uri.host.host), {}});
  group_.edit(uri.host.host, Field::from, text);
}

void HeaderMap::to(const Givens& given) {
  const sip::Uri& uri = passage_.message.to.uri;
  if (passage_.message.has_identity || uri.host.address != passage_.me.inside.address) return;
  if (const auto from = given.find_field(Field::from)) group_.edit(uri.host.host, Field::to, host_text(from->given.address));
}

void HeaderMap::refer_to() {
  const sip::Uri& uri = passage_.message.refer_to.uri;
  const auto inside = endpoint_of(uri);
  if (!inside) return;
  const Protocol protocol = protocol_of(uri, passage_.protocol);
  const auto door = rules_.doors.find_signalling(protocol, *inside, passage_.outside_of(inside->address), passage_.peer.address);
  if (door) write(uri, Field::refer_to, *inside, door->outside);
}

}  // namespace sipalg
