// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/message_checks.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "alg/rewrite/host_port.h"
#include "alg/sdp/session.h"
#include "alg/sip/scanner.h"

namespace sipalg::test {
namespace {

bool is_body_field(Field field) { return field >= Field::sdp_origin && field != Field::content_length; }
bool names_a_door(Field field) {
  return field == Field::via || field == Field::contact || field == Field::record_route || field == Field::path ||
         field == Field::service_route;
}

bool is_inside(const std::optional<Address>& address) {
  static const std::array networks{*parse_network("10.0.0.0/24"), *parse_network("fd00::/64")};
  return address && std::ranges::any_of(networks, [&](const Network& n) { return n.contains(*address); });
}

bool has_edits(const Trace& trace, bool of_body) {
  return std::ranges::any_of(trace.edits, [&](const Trace::EditNote& edit) {
    return edit.field != Field::content_length && is_body_field(edit.field) == of_body;
  });
}

bool has_failed(const Trace& trace, bool body) {
  return std::ranges::any_of(trace.failed_groups, [&](const Trace::GroupNote& group) { return group.is_body == body; });
}

// Of a REGISTER only the sender's own Contact and Path are mapped.
bool names_inside(const sip::Message& message, const Address& sender) {
  const auto own_uri = [&](const sip::NameAddr& value) { return value.uri.host.address == sender; };
  const auto inside_uri = [](const sip::NameAddr& value) { return is_inside(value.uri.host.address); };
  if (message.is_request && is_inside(message.vias.front().sent_by.address)) return true;
  if (message.method == sip::Method::registration)
    return message.is_request &&
           (std::ranges::any_of(message.contacts, own_uri) || std::ranges::any_of(message.paths, own_uri));
  return std::ranges::any_of(message.contacts, inside_uri) || std::ranges::any_of(message.record_routes, inside_uri);
}

bool has_inbound_door(const World& world, const Endpoint& outside, bool signalling) {
  return std::ranges::any_of(world.kernel.living, [&](const auto& entry) {
    const KernelDoor& door = entry.second;
    return door.kind == KernelDoor::Kind::inbound && door.signalling == signalling && door.outside == outside;
  });
}

// The doors of a REGISTER open with its 2xx; until then they are reserved.
bool is_reserved(const World& world, const Endpoint& outside) {
  return std::ranges::any_of(world.engine.doors(world.now), [&](const report::Door& door) { return door.outside == outside; });
}

struct Body {
  sip::Message message;
  sdp::Session session;
  bool has_sdp = false;
  explicit Body(const std::string& bytes) {
    REQUIRE(sip::scan(bytes, message));
    const sdp::Parts parts = sdp::find_parts(bytes, message);
    has_sdp = !parts.sdp.empty() && sdp::scan(bytes, parts.sdp[0].body, session).has_value();
  }
  const sdp::Connection& connection(const sdp::Media& media) const {
    return media.connections.empty() ? session.connection : media.connections.front();
  }
};

void check_line(const World& world, const Body& body, const sdp::Media& media) {
  const Address address = *body.connection(media).address;
  const Endpoint rtp{address, static_cast<uint16_t>(media.port_number)};
  CHECK(has_inbound_door(world, rtp, false));
  const sip::Method method = body.message.method;
  const bool may_answer = !body.message.is_request || method == sip::Method::prack || method == sip::Method::ack;
  if (media.transport != sdp::MediaTransport::rtp || media.rtcp_mux_only || (media.rtcp_mux && may_answer)) return;
  const uint16_t port = media.rtcp.port.is_set() ? media.rtcp.port_number : static_cast<uint16_t>(media.port_number + 1);
  CHECK(has_inbound_door(world, {media.rtcp.connection.address.value_or(address), port}, false));
}

}  // namespace

void check_groups(const World& world, const std::string& sent, const std::string& arrived) {
  const Trace& trace = world.trace;
  const bool header_edited = has_edits(trace, false), body_edited = has_edits(trace, true);
  if (has_failed(trace, false)) CHECK_FALSE(header_edited);
  if (has_failed(trace, true)) CHECK_FALSE(body_edited);
  const Body before(sent), after(arrived);
  CHECK(after.has_sdp == before.has_sdp);
  if (!world.flow.sender.is_translated()) return;  // no byte may change; the stage looks
  if (header_edited) CHECK_FALSE(names_inside(after.message, world.flow.sender.inside.address));
  if (!body_edited) CHECK(after.message.body.in(arrived) == before.message.body.in(sent));
  if (!body_edited || !after.has_sdp) return;
  for (const sdp::Media& media : after.session.media) CHECK_FALSE(is_inside(after.connection(media).address));
  CHECK_FALSE(is_inside(after.session.origin.address));
}

void check_header_doors(const World& world) {
  for (const Trace::EditNote& edit : world.trace.edits) {
    if (!names_a_door(edit.field)) continue;
    const bool has_port = !edit.after.ends_with(']') && edit.after.find(':') != std::string::npos;
    const auto endpoint = parse_endpoint(has_port ? edit.after : edit.after + ":5060");
    if (!endpoint) continue;  // a name whose port was edited
    INFO(edit.after << " in " << name_of(edit.field));
    if (*endpoint == world.flow.sender.outside || has_inbound_door(world, *endpoint, true)) continue;
    CHECK((world.trace.method == "REGISTER" && is_reserved(world, *endpoint)));
  }
}

void check_media_doors(const World& world, const std::string& sent, const std::string& arrived) {
  const bool mapped = has_edits(world.trace, true);
  const bool fell = world.verdict.reason == Reason::transaction_untouched || world.verdict.reason == Reason::too_big ||
                    world.verdict.reason == Reason::service_off;
  if (has_failed(world.trace, true) || fell) return;
  const Body before(sent), after(arrived);
  if (!after.has_sdp) return;
  for (std::size_t i = 0; i < after.session.media.size(); ++i) {
    const sdp::Media& media = after.session.media[i];
    if (!is_inside(before.connection(before.session.media[i]).address) || media.port_number == 0) continue;
    INFO(world.trace.first_line << ": m= line " << i << (mapped ? ", mapped" : ""));
    check_line(world, after, media);
  }
}

}  // namespace sipalg::test
