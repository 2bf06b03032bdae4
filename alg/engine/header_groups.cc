// SPDX-License-Identifier: GPL-2.0-or-later
// The header fields of one message, as one group.
#include <algorithm>
#include <array>
#include <utility>

#include "alg/engine/exchange.h"

namespace sipalg {

using sip::Method;

namespace {

void count_opinion(sip::Compared fields, auto& counters) {
  using sip::Compared;
  constexpr std::array compared{Compared::top_via, Compared::contact, Compared::record_route, Compared::path, Compared::service_route};
  static_assert(compared.size() == count_of<DoorField>);
  for (std::size_t i = 0; i < compared.size(); ++i) counters[i] += has(fields, compared[i]) ? 1 : 0;
}

}  // namespace

bool Exchange::may_map_from() const {
  if (message_.method == Method::registration || message_.is_unreadable(sip::Unreadable::from)) return false;
  if (!is_in_dialog()) return true;
  if (is_dialog_untouched()) return false;
  if (transaction_ && transaction_->givens.find_field(Field::from)) return true;
  return !is_known_ && leg_ && leg_->outgoing && leg_->givens.find_field(Field::from);  // a copy follows its first
}

// Throughout a dialog what its first request said, whatever uplink it takes by now.
Address Exchange::mapped_from() const {
  const auto given = leg_ && is_in_dialog() ? leg_->givens.find_field(Field::from) : std::nullopt;
  return given ? given->given.address : passage_.me.outside.address;
}

bool Exchange::is_dialog_untouched() const {
  const Dialog* dialog = leg_ ? find_dialog() : nullptr;
  return dialog && dialog->untouched;
}

void Exchange::map_request_headers(bool may_create) {
  Group group(rules_, passage_.now);
  HeaderMap map(rules_, passage_, group, may_create);
  map.via();
  if (message_.is_unreadable(sip::Unreadable::contact) || message_.is_unreadable(sip::Unreadable::record_route) ||
      message_.is_unreadable(sip::Unreadable::path))
    group.fail(Reason::header_unreadable);
  if (message_.method == Method::registration) {
    map.contacts(true);
    map.paths();
  } else {
    map.contacts(false);
    map.record_routes();
  }
  if (may_map_from()) map.from(mapped_from());
  if (!message_.is_unreadable(sip::Unreadable::refer_to)) map.refer_to();
  if (!commit_headers(map, group)) {
    if (transaction_ && !is_known_) transaction_->header_failed = true;
    return;
  }
  if (transaction_) transaction_->wrote_outside_itself = transaction_->wrote_outside_itself || map.via_wrote_outside_itself;
  if (transaction_ && message_.method == Method::registration)
    transaction_->removes_all = std::ranges::any_of(message_.contacts, &sip::NameAddr::is_star);
}

void Exchange::map_response_headers() {
  const bool is_register = message_.method == Method::registration;
  Group group(rules_, passage_.now);
  HeaderMap map(rules_, passage_, group, true);
  if (message_.is_unreadable(sip::Unreadable::contact) || message_.is_unreadable(sip::Unreadable::record_route))
    group.fail(Reason::header_unreadable);
  if (message_.status < 400 && !(is_register && message_.status < 300)) map.contacts(false);
  map.record_routes();
  if (is_register && message_.status < 300) map.service_routes();
  if (leg_ && leg_->outgoing && !is_dialog_untouched() && !message_.is_unreadable(sip::Unreadable::to)) map.to(leg_->givens);
  if (!commit_headers(map, group)) {
    transaction_->response_header_failed = true;
  } else if (is_register && !map.givens.empty()) {
    keep_service_route(map);
  }
}

// The Service-Route of an inside registrar lives as long as what it granted.
void Exchange::keep_service_route(const HeaderMap& map) {
  if (transaction_->doors.empty()) return;
  uint32_t granted = message_.expires.value_or(0);
  for (const sip::NameAddr& contact : message_.contacts) granted = std::max(granted, contact.expires.value_or(0));
  if (granted == 0) return;
  Registration registration = granted_registration(granted);
  registration.aor = passage_.text(message_.to.uri.whole);
  registration.user = "Service-Route";
  registration.inside = passage_.me.inside;
  registration.outside = passage_.me.outside;
  registration.contact_text = map.givens.front().before;
  for (const Given& given : map.givens) registration.givens.add(given);
  registration.doors = std::exchange(transaction_->doors, {});
  rooms_.registrations.add(std::move(registration), passage_.now);
}

bool Exchange::opinions_agree(const HeaderMap& map, Group& group) {
  if (!rooms_.policy.second_opinion || map.fields == sip::Compared::none || !group.opens_something()) return true;
  rooms_.stats.count(Event::opinions_asked);
  const sip::Opinion opinion = rooms_.opinion.on(passage_.bytes, message_, map.fields);
  if (opinion.agrees()) return true;
  count_opinion(opinion.differs, rooms_.stats.opinions_differ);
  count_opinion(opinion.unreadable, rooms_.stats.opinions_unreadable);
  group.fail(opinion.differs != sip::Compared::none ? Reason::opinions_differ : Reason::opinion_unreadable);
  return false;
}

bool Exchange::commit_headers(HeaderMap& map, Group& group) {
  if (map.wrote_outside_itself && rooms_.learned.write_outside.size() < limits::registrations)
    rooms_.learned.write_outside.insert(passage_.me.inside.address);
  if (message_.is_request && message_.method == Method::registration && !message_.contacts.empty()) {
    auto& learned = rooms_.learned.register_outside;
    if (!map.wishes.empty()) {
      learned.erase(passage_.me.inside.address);
    } else if (map.wrote_outside_itself && learned.size() < limits::registrations) {
      learned.insert(passage_.me.inside.address);
    }
  }
  if (!group.failed()) (void)opinions_agree(map, group);
  if (!group.commit()) {
    fail_group(false, group.reason());
    return false;
  }
  own_headers(map);
  return true;
}

// Contact and routes belong to the leg where there is one, else to the transaction.
void Exchange::own_headers(HeaderMap& map) {
  const Instant now = passage_.now;
  for (DoorId door : map.doors) leg_ ? rooms_.calls.own(*leg_, door, now) : rooms_.calls.own(transaction_->doors, door, now);
  const std::span<const Given> given(map.givens.data(), map.givens.size());
  if (leg_) leg_->givens.remember(given);
  if (!transaction_) return;
  transaction_->givens.remember(given);
  for (DoorId door : map.via_doors) rooms_.calls.own(transaction_->doors, door, now);
  transaction_->givens.remember({map.via_givens.data(), map.via_givens.size()});
  own_wishes(map.wishes);
}

void Exchange::own_wishes(AnySmallList<RegistrationWish>& wishes) {
  for (RegistrationWish& wish : wishes) {
    if (transaction_->is_final()) {  // a late copy of the REGISTER asks for nothing
      rooms_.calls.release_all(wish.doors, passage_.now);
      continue;
    }
    wish.aor = passage_.text(message_.to.uri.whole);
    const auto known = std::ranges::find_if(transaction_->wishes, [&](const RegistrationWish& other) {
      return other.inside == wish.inside && other.user == wish.user && other.transport == wish.transport;
    });
    if (known == transaction_->wishes.end()) {
      transaction_->wishes.push_back(std::move(wish));
    } else {
      for (DoorId door : wish.doors) rooms_.calls.own(known->doors, door, passage_.now);
      // Two bindings that differ in other URI parameters (RFC 3261 section 19.1.4): one that goes takes nothing from one that
      // stays.
      if (known->asked == 0U) {
        known->asked = wish.asked;
        known->before = std::move(wish.before);
      }
    }
  }
}

void Exchange::restore_response_headers() {
  Group group(rules_, passage_.now);
  HeaderRestore restore(rules_, passage_, group);
  restore.via(transaction_);
  if (transaction_) {
    restore.response_fields(*transaction_);
    // of an unreadable list what comes before: each Contact that is ours has a record of its own
    if (message_.method == Method::registration && message_.status >= 200 && message_.status < 300)
      restore.registered_contacts(*transaction_);
  }
  if (!group.commit()) fail_group(false, group.reason());
}

// A door that the response makes must not change a copy of the request.
void Exchange::restore_request_headers() {
  Group group(rules_, passage_.now);
  HeaderRestore restore(rules_, passage_, group);
  if (transaction_ && is_known_) {
    restore.repeat(transaction_->restored);
  } else {
    if (!message_.is_unreadable(sip::Unreadable::request_uri)) restore.request_uri(leg_);
    if (!message_.is_unreadable(sip::Unreadable::route)) restore.routes(leg_);
    if (transaction_ && !scratch_.edits.empty()) restore.keep_decisions(transaction_->restored);
  }
  if (leg_ && leg_->outgoing && is_in_dialog() && !message_.is_unreadable(sip::Unreadable::to)) restore.to(*leg_);
  if (group.commit()) return;
  fail_group(false, group.reason());
  if (transaction_ && !is_known_) transaction_->header_failed = true;
}

}  // namespace sipalg
