// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/header_restore.h"

#include <algorithm>

#include "alg/rewrite/host_port.h"

namespace sipalg {

void HeaderRestore::put(Span span, Field field, std::string_view text) {
  if (passage_.text(span) != text) group_.edit(span, field, text);
}

// True: the URI carries the endpoint of a record, and has its old text back.
bool HeaderRestore::from_list(const sip::Uri& uri, Field as, Field written, const Givens& list, std::size_t nth) {
  const std::string_view user = passage_.text(uri.user);
  bool found = false;
  if (uri.maddr.address) {
    if (const auto given = list.find(written, {*uri.maddr.address, 0}, user, nth)) {
      put(uri.maddr.host, as, given->before);
      found = true;
    }
  }
  // behind maddr a name may have got another port
  const auto endpoint = endpoint_of(uri.host);
  if (!endpoint && !found) return false;
  const Endpoint named{{}, uri.host.port.is_set() ? uri.host.port_number : sip_port};
  if (const auto given = list.find(written, endpoint.value_or(named), user, nth)) {
    put(uri.host.whole(), as, given->before);
    found = true;
  }
  return found;
}

// The values of one message in their order: two texts of one endpoint come back as they stood.
template <typename L> void HeaderRestore::from_transaction(const L& values, Field field, const Transaction& transaction) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto same_before = std::count_if(values.begin(), values.begin() + i, [&](const sip::NameAddr& other) {
      return endpoint_of(other.uri.host) == endpoint_of(values[i].uri.host) &&
             passage_.text(other.uri.user) == passage_.text(values[i].uri.user);
    });
    from_list(values[i].uri, field, field, transaction.givens, static_cast<std::size_t>(same_before));
  }
}

// Where an endpoint of ours leads, through a door or along the way this message came: a neighbour comes through one that is not his.
std::optional<Endpoint> HeaderRestore::inside_of(const sip::Uri& uri) {
  const auto endpoint = endpoint_of(uri);
  if (!endpoint) return std::nullopt;
  const Protocol protocol = protocol_of(uri, passage_.protocol);
  const bool came_there = passage_.message.is_request && protocol == passage_.protocol;
  if (*endpoint == passage_.me.outside && (came_there || passage_.is_own_connection(protocol, passage_.me.inside))) return passage_.me.inside;
  const auto door = door_named(uri, *endpoint);
  return door ? std::optional(door->inside) : std::nullopt;
}

// A URI without a transport may come by another one than its door's (HeaderMap::map_endpoint).
std::optional<Doors::Found> HeaderRestore::door_named(const sip::Uri& uri, const Endpoint& outside) const {
  const Protocol protocol = protocol_of(uri, passage_.protocol);
  const Address& me = passage_.me.inside.address;
  const auto door = rules_.doors.find_outside(protocol, outside, passage_.peer.address, me);
  if (door || uri.transport != sip::Transport::none) return door;
  return rules_.doors.find_outside(protocol == Protocol::tcp ? Protocol::udp : Protocol::tcp, outside, passage_.peer.address, me);
}

bool HeaderRestore::from_registrations(const sip::Uri& uri, Field as, Field written) {
  const auto inside = inside_of(uri);
  if (!inside || rules_.learned.register_outside.contains(passage_.me.inside.address)) return false;
  return rules_.registrations.with_those_at(*inside, [&](const std::vector<const Registration*>& registrations) {
    for (const bool same_user : {true, false})  // two accounts may share one endpoint
      for (const Registration* registration : registrations)
        if ((registration->user == passage_.text(uri.user)) == same_user && from_list(uri, as, written, registration->givens))
          return true;
    return false;
  });
}

// Without a record: the door itself tells where it leads. Out of a dialog only the Contact that was handed out last.
void HeaderRestore::from_door(const sip::Uri& uri, Field as, bool in_dialog) {
  const auto endpoint = endpoint_of(uri.host);
  if (!endpoint || uri.scheme != sip::Scheme::sip || rules_.learned.write_outside.contains(passage_.me.inside.address)) return;
  const auto door = door_named(uri, *endpoint);
  if (!door || !door->is_translating()) return;
  constexpr auto named = static_cast<uint8_t>(Purpose::contact) | static_cast<uint8_t>(Purpose::route);
  if ((door->purposes & named) == 0) return;
  const Doors::Contact contact = rules_.doors.contact_of(door->id);
  if (!in_dialog && (contact.text.empty() || passage_.text(uri.user) != contact.user)) return;
  if (!contact.text.empty()) return put(uri.host.whole(), as, contact.text);
  put(uri.host.whole(), as, host_port_text(door->inside, uri.host.port.is_set()));
}

void HeaderRestore::via_parameters(const sip::Via& via, const FlowEnd& source) {
  if (!source.is_translated()) return;
  const bool same_address = via.received.address == source.outside.address;
  if (via.received.address && !same_address) return;
  if (same_address) put(via.received.host, Field::via_received, AddressText(source.inside.address));
  if (via.rport.is_set() && via.rport_number == source.outside.port)
    put(via.rport, Field::via_rport, AddressText(source.inside.port));
}

void HeaderRestore::via_by_door(const sip::Via& via) {
  const auto endpoint = endpoint_of(via.sent_by);
  if (!endpoint || rules_.learned.write_outside.contains(passage_.me.inside.address)) return;
  const auto door = rules_.doors.find_outside(passage_.protocol, *endpoint, passage_.peer.address, passage_.me.inside.address);
  if (!door || !door->is_translating()) return;
  const Endpoint inside = door->inside;
  if (inside.address != passage_.me.inside.address) return;
  put(via.sent_by.whole(), Field::via, host_port_text(inside, via.sent_by.port.is_set()));
  via_parameters(via, passage_.me);
}

void HeaderRestore::via(const Transaction* transaction) {
  const sip::Via& via = passage_.message.vias.front();
  if (!transaction) return via_by_door(via);
  for (const Given given : transaction->givens) {
    if (given.field != Field::via) continue;
    if (!given.given.is_set()) {  // a name: only its port was edited
      if (!via.sent_by.address && via.sent_by.port_number == given.given.port) put(via.sent_by.whole(), Field::via, given.before);
    } else if (given.given.port == 0) {
      if (via.maddr.address == given.given.address) put(via.maddr.host, Field::via, given.before);
    } else if (endpoint_of(via.sent_by) == given.given) {
      put(via.sent_by.whole(), Field::via, given.before);
    }
  }
  if (!transaction->wrote_outside_itself) via_parameters(via, transaction->source);
}

void HeaderRestore::response_fields(const Transaction& transaction) {
  from_transaction(passage_.message.record_routes, Field::record_route, transaction);
  from_transaction(passage_.message.paths, Field::path, transaction);
  const sip::HostPort& from = passage_.message.from.uri.host;
  if (!from.address) return;
  if (const auto given = transaction.givens.find(Field::from, {*from.address, 0}))
    put(from.host, Field::from, given->before);
}

// Every Contact that leads to a door of this same inside host; other devices' stay.
void HeaderRestore::registered_contacts(const Transaction& transaction) {
  const auto& contacts = passage_.message.contacts;
  from_transaction(contacts, Field::contact, transaction);
  for (const sip::NameAddr& contact : contacts) {
    const auto endpoint = endpoint_of(contact.uri.host);
    if (contact.is_star || (endpoint && transaction.givens.has(Field::contact, *endpoint))) continue;
    const auto inside = inside_of(contact.uri);
    if (!inside || inside->address != passage_.me.inside.address) continue;
    if (!from_registrations(contact.uri, Field::contact, Field::contact)) from_door(contact.uri, Field::contact, true);
  }
}

void HeaderRestore::request_uri(const Leg* leg) {
  const sip::Uri& uri = passage_.message.request_uri;
  if (leg && from_list(uri, Field::request_uri, Field::contact, leg->givens)) return;
  if (from_registrations(uri, Field::request_uri, Field::contact)) return;
  from_door(uri, Field::request_uri, passage_.message.to.tag.is_set());
}

void HeaderRestore::routes(const Leg* leg) {
  for (const sip::NameAddr& route : passage_.message.routes) {
    if (leg && from_list(route.uri, Field::route, Field::record_route, leg->givens)) continue;
    if (from_registrations(route.uri, Field::route, Field::path) ||
        from_registrations(route.uri, Field::route, Field::service_route))
      continue;
    from_door(route.uri, Field::route, true);
  }
}

void HeaderRestore::keep_decisions(RestoredUris& decisions) const {
  const auto note = [&](Field field, Span whole) {
    std::string left;
    uint32_t at = whole.begin;
    for (const Edit& edit : rules_.edits.edits()) {
      if (edit.span.begin < whole.begin || edit.span.end > whole.end) continue;
      left += passage_.text({at, edit.span.begin});
      left += rules_.edits.text(edit);
      at = edit.span.end;
    }
    left += passage_.text({at, whole.end});
    decisions.add({field, passage_.text(whole), left});
  };
  decisions.clear();
  if (!passage_.message.is_unreadable(sip::Unreadable::request_uri)) note(Field::request_uri, passage_.message.request_uri.whole);
  for (const sip::NameAddr& route : passage_.message.routes) note(Field::route, route.uri.whole);
}

void HeaderRestore::repeat(const RestoredUris& decisions) {
  const auto again = [&](Field field, Span whole) {
    for (std::size_t i = 0; i < decisions.size(); ++i)
      if (const RestoredUri known = decisions[i]; known.field == field && known.came == passage_.text(whole))
        return put(whole, field, known.left);
  };
  if (!passage_.message.is_unreadable(sip::Unreadable::request_uri)) again(Field::request_uri, passage_.message.request_uri.whole);
  for (const sip::NameAddr& route : passage_.message.routes) again(Field::route, route.uri.whole);
}

void HeaderRestore::to(const Leg& leg) {
  const sip::HostPort& to = passage_.message.to.uri.host;
  if (!to.address || passage_.message.has_identity) return;
  if (const auto given = leg.givens.find(Field::from, {*to.address, 0})) put(to.host, Field::to, given->before);
}

}  // namespace sipalg
