// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/rewrite/sdp_map.h"

#include <algorithm>

#include "alg/rewrite/naming.h"

namespace sipalg {
namespace {

Protocol protocol_of(sdp::MediaTransport transport) {
  return transport == sdp::MediaTransport::tcp ? Protocol::tcp : Protocol::udp;
}

constexpr uint32_t longest_run = 16;  // port/n beyond this is no real stream

// Of a transport, and with ports, that a door can serve.
bool is_servable(const sdp::Media& media) {
  if (media.transport == sdp::MediaTransport::unknown) return false;
  if (media.port_number < limits::lowest_port || media.port_number > 65535 || media.count > longest_run) return false;
  return media.count <= 1 || media.port_number + 2 * media.count - 1 <= 65535;
}

const sdp::Connection& first_connection(const sdp::Session& session, const sdp::Media& media) {
  return media.connections.empty() ? session.connection : media.connections.front();
}

}  // namespace

bool SdpMap::is_ours(const Address& address) {
  const Standing standing = standing_of(rules_, passage_, address);
  if (standing == Standing::own) return true;
  if (standing != Standing::other) return false;
  if (may_name(rules_, passage_, address)) return true;
  note_third_party(rules_, passage_, address);
  return false;
}

// The address a line relies on. Of several c= lines the first that is inside: one port of m= can lead to one host only, the
// others stay.
const sdp::Connection* SdpMap::connection_of(const sdp::Media& media) const {
  if (media.connections.empty()) return session_.connection.address_text.is_set() ? &session_.connection : nullptr;
  const auto is_inside = [this](const sdp::Connection& c) {
    if (!c.address) return false;
    const Standing standing = standing_of(rules_, passage_, *c.address);
    return standing == Standing::own || standing == Standing::other;
  };
  const auto found = std::find_if(media.connections.begin(), media.connections.end(), is_inside);
  return found != media.connections.end() ? found : media.connections.begin();
}

bool SdpMap::may_have_door(const sdp::Media& media) const {
  if (!is_servable(media)) return false;
  const sdp::Setup setup = media.setup != sdp::Setup::none ? media.setup : session_.setup;
  return media.transport != sdp::MediaTransport::tcp || setup != sdp::Setup::active;
}

void SdpMap::map_line(uint8_t index) {
  const sdp::Media& media = session_.media[index];
  Line& line = lines_[index];
  if (media.port_number == 0 || !may_have_door(media)) return;
  const sdp::Connection* connection = connection_of(media);
  if (!connection || !connection->address) return;
  line.relies_on_session = media.connections.empty();
  if (connection->address->is_unspecified()) return keep_held_port(index, media);
  line.rtp = {*connection->address, static_cast<uint16_t>(media.port_number)};
  if (!is_ours(line.rtp.address)) return;
  claim(index, media);
  if (line.mapped) write_line(line, media);
}

DoorTable::MediaWish SdpMap::wish_for(const Endpoint& inside, Purpose purpose) const {
  DoorTable::MediaWish wish;
  wish.inside = inside;
  wish.outside_address = passage_.outside_of(inside.address);
  wish.purpose = purpose;
  wish.zone = passage_.zone;
  wish.is_late_copy = is_late_copy_;
  return wish;
}

// Hold by 0.0.0.0: the line keeps the number of its door, and so does its RTCP, so that resuming finds the same ports. Who has the
// port shows by the door the line had; without one it is not ours.
void SdpMap::keep_held_port(uint8_t index, const sdp::Media& media) {
  for (const MediaUse& use : had_) {
    if (use.line != index || use.is_rtcp || use.is_way_out) continue;
    const auto door = rules_.doors.find(use.door);
    if (!door || door->inside.port != media.port_number) continue;
    Line& line = lines_[index];
    line.rtp = door->inside;
    claim(index, media);
    if (line.mapped) write_line(line, media);
    return;
  }
}

void SdpMap::own(uint8_t index, const DoorTable::MediaDoors& doors, bool with_rtcp) {
  for (std::size_t i = 0; i < doors.size(); ++i) {
    group_.claimed(doors[i]);
    uses.push_back({doors[i], index, with_rtcp && i % 2 == 1});
  }
}

void SdpMap::claim(uint8_t index, const sdp::Media& media) {
  Line& line = lines_[index];
  const bool is_rtp = media.transport == sdp::MediaTransport::rtp;
  const bool muxed = media.rtcp_mux_only || (is_answer_ && media.rtcp_mux);
  const bool is_last = line.rtp.port == 65535;
  DoorTable::MediaWish wish = wish_for(line.rtp, is_rtp ? Purpose::rtp : Purpose::media);
  wish.protocol = protocol_of(media.transport);
  wish.with_rtcp = is_rtp && !muxed && !media.rtcp.port.is_set() && !is_last;
  wish.ports = static_cast<uint16_t>(std::max(media.count, 1U) * (wish.with_rtcp ? 2U : 1U));
  auto doors = rules_.doors.claim_media(wish, passage_.now);
  // Muxed so far, and its neighbour port is another's by now: a line keeps its port for the whole call (sip-rules section 8),
  // so the pair does not move; audio goes on, RTCP stays without a door.
  if (!doors && wish.with_rtcp && media.count <= 1) {
    wish.with_rtcp = false;
    wish.ports = 1;
    doors = rules_.doors.claim_media(wish, passage_.now);
  }
  if (!doors) return group_.fail(doors.error());
  own(index, *doors, wish.with_rtcp);
  line.mapped = true;
  line.outside_rtp = rules_.doors.outside_of(doors->front());
  if (wish.with_rtcp) {
    line.rtcp = {line.rtp.address, static_cast<uint16_t>(line.rtp.port + 1)};
    line.outside_rtcp = rules_.doors.outside_of((*doors)[1]);
  }
  if (is_rtp && media.rtcp.port.is_set()) claim_explicit_rtcp(index, media, muxed);
}

void SdpMap::claim_explicit_rtcp(uint8_t index, const sdp::Media& media, bool muxed) {
  Line& line = lines_[index];
  const sdp::Connection& named = media.rtcp.connection;
  if (named.address_text.is_set() && !named.address) return;  // by a name, which stays
  const Address address = named.address.value_or(line.rtp.address);
  if (media.rtcp.port_number < limits::lowest_port || !is_ours(address)) return;
  line.rtcp = {address, media.rtcp.port_number};
  if (line.rtcp == line.rtp || (muxed && line.rtcp.address == line.rtp.address)) {  // then it comes there too (RFC 5761)
    line.outside_rtcp = line.outside_rtp;
    return;
  }
  const auto doors = rules_.doors.claim_media(wish_for(line.rtcp, Purpose::rtcp), passage_.now);
  if (!doors) return group_.fail(doors.error());
  group_.claimed(doors->front());
  uses.push_back({doors->front(), index, true});
  line.outside_rtcp = rules_.doors.outside_of(doors->front());
}

void SdpMap::write_text(Span span, Field field, std::string_view text) {
  if (passage_.text(span) != text) group_.edit(span, field, text);
}

// The same address in another spelling stays as it is spelled.
void SdpMap::write_address(Span span, Field field, const std::optional<Address>& before, const Address& outside) {
  if (span.is_set() && before != outside) group_.edit(span, field, AddressText(outside));
}

void SdpMap::write_line(const Line& line, const sdp::Media& media) {
  write_text(media.port, Field::sdp_media, AddressText(line.outside_rtp.port));
  for (const sdp::Connection& connection : media.connections)
    if (connection.address == line.rtp.address)
      write_address(connection.address_text, Field::sdp_connection, connection.address, line.outside_rtp.address);
  if (!media.rtcp.port.is_set() || !line.outside_rtcp.is_set()) return;
  write_address(media.rtcp.connection.address_text, Field::sdp_rtcp, media.rtcp.connection.address, line.outside_rtcp.address);
  write_text(media.rtcp.port, Field::sdp_rtcp, AddressText(line.outside_rtcp.port));
}

// From the first SDP on, doors or not (RFC 3264 section 8: the origin never changes).
void SdpMap::write_origin() {
  const sdp::Connection& origin = session_.origin;
  if (!origin.address || standing_of(rules_, passage_, *origin.address) == Standing::foreign) return;
  if (*origin.address == passage_.me.inside.address || is_ours(*origin.address))
    write_address(origin.address_text, Field::sdp_origin, origin.address, passage_.outside_of(*origin.address));
}

// Follows when every active line that relies on it has its door; a line that is left vetoes nothing.
void SdpMap::write_session_connection() {
  const sdp::Connection& connection = session_.connection;
  if (!connection.address || connection.address->is_unspecified()) return;
  bool any_mapped = false, any_relies = false;
  for (std::size_t i = 0; i < session_.media.size(); ++i) {
    any_mapped = any_mapped || (lines_[i].relies_on_session && lines_[i].mapped);
    any_relies = any_relies || (session_.media[i].port_number != 0 && session_.media[i].connections.empty());
  }
  const bool idle = !any_relies && (*connection.address == passage_.me.inside.address || is_ours(*connection.address));
  if (any_mapped || idle)
    write_address(connection.address_text, Field::sdp_connection, connection.address, passage_.outside_of(*connection.address));
}

void SdpMap::write_candidates() {
  for (const sdp::Candidate& candidate : session_.candidates) {
    if (candidate.is_remote || !candidate.address) continue;
    const Line& line = lines_[candidate.media];
    const bool is_tcp = session_.media[candidate.media].transport == sdp::MediaTransport::tcp;
    if (!line.mapped || candidate.is_tcp != is_tcp) continue;  // the same numbers of another protocol are another endpoint
    const Endpoint endpoint{*candidate.address, candidate.port_number};
    if (endpoint != line.rtp && (!line.rtcp.is_set() || endpoint != line.rtcp)) continue;
    const Endpoint& outside = endpoint == line.rtp ? line.outside_rtp : line.outside_rtcp;
    write_address(candidate.address_text, Field::sdp_candidate, candidate.address, outside.address);
    write_text(candidate.port, Field::sdp_candidate, AddressText(outside.port));
  }
}

void SdpMap::write_alternatives() {
  for (const sdp::Alternative& alternative : session_.alternatives) {
    const Line& line = lines_[alternative.media];
    if (!line.mapped || !alternative.address || Endpoint{*alternative.address, alternative.port_number} != line.rtp) continue;
    const Field field = alternative.is_msrp_path ? Field::sdp_path : Field::sdp_altc;
    write_address(alternative.address_text, field, alternative.address, line.outside_rtp.address);
    write_text(alternative.port, field, AddressText(line.outside_rtp.port));
  }
}

void SdpMap::run() {
  for (std::size_t i = 0; i < session_.media.size() && !group_.failed(); ++i) map_line(static_cast<uint8_t>(i));
  if (group_.failed()) return;
  write_origin();
  write_session_connection();
  write_candidates();
  write_alternatives();
}

void restore_remote_candidates(const Rules& rules, Group& group, const sdp::Session& session, const Leg& leg) {
  for (const sdp::Candidate& candidate : session.candidates) {
    if (!candidate.is_remote || !candidate.address) continue;
    const Endpoint endpoint{*candidate.address, candidate.port_number};
    for (const MediaUse& use : leg.media) {
      const auto door = rules.doors.find(use.door);
      if (!door || use.is_way_out || door->outside != endpoint) continue;
      const Endpoint inside = door->inside;
      if (inside == endpoint) continue;
      group.edit(candidate.address_text, Field::sdp_remote_candidates, AddressText(inside.address));
      if (inside.port != endpoint.port) group.edit(candidate.port, Field::sdp_remote_candidates, AddressText(inside.port));
      break;
    }
  }
}

void add_remote_streams(const sdp::Session& session, MediaSession& out) {
  for (std::size_t i = 0; i < session.media.size(); ++i) {
    const sdp::Media& media = session.media[i];
    const sdp::Connection& connection = first_connection(session, media);
    if (media.port_number == 0 || media.port_number > 65535 || !connection.address) continue;
    if (media.transport == sdp::MediaTransport::unknown || !connection.address->is_unicast()) continue;
    RemoteStream stream;
    stream.line = static_cast<uint8_t>(i);
    stream.protocol = protocol_of(media.transport);
    stream.rtp = {*connection.address, static_cast<uint16_t>(media.port_number)};
    if (media.transport == sdp::MediaTransport::rtp && !media.rtcp_mux) {
      const auto port = media.rtcp.port.is_set() ? media.rtcp.port_number : static_cast<uint16_t>(media.port_number + 1);
      stream.rtcp = {media.rtcp.connection.address.value_or(*connection.address), port};
    }
    out.add(stream);
  }
}

void count_media(const sdp::Session& session, Stats& stats) {
  for (const sdp::Media& media : session.media) {
    const sdp::Connection& connection = first_connection(session, media);
    if (media.port_number == 0) {
      stats.count(Event::media_port_zero);
    } else if (!is_servable(media)) {
      stats.count(Event::media_unreadable);
    } else if (connection.address && connection.address->is_unspecified()) {
      stats.count(Event::media_address_zero);
    }
  }
}

bool is_hold(const sdp::Session& session) {
  bool any = false;
  for (const sdp::Media& media : session.media) {
    if (media.port_number == 0) continue;
    any = true;
    const sdp::Connection& connection = first_connection(session, media);
    const bool zero = connection.address && connection.address->is_unspecified();
    const auto direction = media.direction.value_or(session.direction.value_or(sdp::Direction::sendrecv));
    if (!zero && direction == sdp::Direction::sendrecv) return false;
  }
  return any;
}

void note_streams(std::string_view bytes, const sdp::Session& session, MediaSession& out) {
  out.clear_notes();
  for (const sdp::Media& media : session.media) {
    const auto direction = media.direction.value_or(session.direction.value_or(sdp::Direction::sendrecv));
    StreamNote note;
    media.kind.in(bytes).substr(0, note.kind.size()).copy(note.kind.data(), note.kind.size());
    if (media.port_number != 0) note.direction = static_cast<StreamNote::Direction>(direction);
    out.add(note);
  }
}

}  // namespace sipalg
