// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/header_restore.h"

#include "alg/rewrite/host_port.h"

namespace sipalg {

void HeaderRestore::put(Span span, Field field, std::string_view text) {
  if (passage_.text(span) != text) group_.edit(span, field, text);
}

// True: the URI carries the endpoint of a record, and has its old text back.
bool HeaderRestore::from_list(const sip::Uri& uri, Field as, Field written, const std::vector<Given>& list) {
  bool found = false;
  if (const auto endpoint = endpoint_of(uri.host)) {
    if (const Given* given = find_given(list, written, *endpoint)) {
      put(uri.host.whole(), as, given->before);
      found = true;
    }
  }
  if (uri.maddr.address) {
    if (const Given* given = find_given(list, written, {*uri.maddr.address, 0})) {
      put(uri.maddr.host, as, given->before);
      found = true;
    }
  }
  return found;
}

bool HeaderRestore::from_registrations(const sip::Uri& uri, Field as, Field written) {
  const auto endpoint = endpoint_of(uri);
  if (!endpoint) return false;
  const Door* door = rules_.doors.find_outside(protocol_of(uri, passage_.protocol), *endpoint, passage_.peer.address);
  if (!door) return false;
  for (const Registration* registration : rules_.calls.registrations_at(door->kernel.inside))
    if (from_list(uri, as, written, registration->givens)) return true;
  return false;
}

// Without a record: the door itself tells where it leads. Out of a dialog only the Contact that was handed out last.
void HeaderRestore::from_door(const sip::Uri& uri, Field as, bool in_dialog) {
  const auto endpoint = endpoint_of(uri.host);
  if (!endpoint || uri.scheme != sip::Scheme::sip || rules_.learned.write_outside.contains(passage_.me.inside.address)) return;
  const Door* door = rules_.doors.find_outside(protocol_of(uri, passage_.protocol), *endpoint, passage_.peer.address);
  if (!door || door->kernel.inside == door->kernel.outside) return;
  constexpr auto named = static_cast<uint8_t>(Purpose::contact) | static_cast<uint8_t>(Purpose::route);
  if ((door->purposes & named) == 0) return;
  if (!in_dialog && (door->contact_text.empty() || passage_.text(uri.user) != door->contact_user)) return;
  const std::string text = door->contact_text.empty() ? host_port_text(door->kernel.inside, uri.host.port.is_set())
                                                      : door->contact_text;
  put(uri.host.whole(), as, text);
}

void HeaderRestore::via_parameters(const sip::Via& via, const FlowEnd& source) {
  if (!source.is_translated()) return;
  const bool same_address = via.received.address == source.outside.address;
  if (via.received.address && !same_address) return;
  if (same_address) put(via.received.host, Field::via_received, to_string(source.inside.address));
  if (via.rport.is_set() && via.rport_number == source.outside.port)
    put(via.rport, Field::via_rport, std::to_string(source.inside.port));
}

void HeaderRestore::via_by_door(const sip::Via& via) {
  const auto endpoint = endpoint_of(via.sent_by);
  if (!endpoint || rules_.learned.write_outside.contains(passage_.me.inside.address)) return;
  const Door* door = rules_.doors.find_outside(passage_.protocol, *endpoint, passage_.peer.address);
  if (!door || door->kernel.inside.address != passage_.me.inside.address || door->kernel.inside == door->kernel.outside) return;
  put(via.sent_by.whole(), Field::via, host_port_text(door->kernel.inside, via.sent_by.port.is_set()));
  via_parameters(via, passage_.me);
}

void HeaderRestore::via(const Transaction* transaction) {
  const sip::Via& via = passage_.message.vias.front();
  if (!transaction) return via_by_door(via);
  for (const Given& given : transaction->givens) {
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
  for (const sip::NameAddr& value : passage_.message.record_routes)
    from_list(value.uri, Field::record_route, Field::record_route, transaction.givens);
  for (const sip::NameAddr& value : passage_.message.paths) from_list(value.uri, Field::path, Field::path, transaction.givens);
  const sip::HostPort& from = passage_.message.from.uri.host;
  if (!from.address) return;
  if (const Given* given = find_given(transaction.givens, Field::from, {*from.address, 0}))
    put(from.host, Field::from, given->before);
}

// Every Contact that leads to a door of this same inside host; other devices' stay.
void HeaderRestore::registered_contacts(const Transaction& transaction) {
  for (const sip::NameAddr& contact : passage_.message.contacts) {
    if (contact.is_star || from_list(contact.uri, Field::contact, Field::contact, transaction.givens)) continue;
    const auto endpoint = endpoint_of(contact.uri);
    if (!endpoint) continue;
    const Door* door =
        rules_.doors.find_outside(protocol_of(contact.uri, passage_.protocol), *endpoint, passage_.peer.address);
    if (!door || door->kernel.inside.address != passage_.me.inside.address) continue;
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
    if (leg && (from_list(route.uri, Field::route, Field::record_route, leg->givens) ||
                from_list(route.uri, Field::route, Field::path, leg->givens)))
      continue;
    if (from_registrations(route.uri, Field::route, Field::path)) continue;
    from_door(route.uri, Field::route, true);
  }
}

void HeaderRestore::to(const Leg& leg) {
  const sip::HostPort& to = passage_.message.to.uri.host;
  if (!to.address || passage_.message.has_identity) return;
  if (const Given* given = find_given(leg.givens, Field::from, {*to.address, 0})) put(to.host, Field::to, given->before);
}

}  // namespace sipalg
