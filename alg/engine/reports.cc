// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/engine/reports.h"

#include <algorithm>
#include <cstring>

namespace sipalg {
namespace {

std::string state_of(const Leg& leg) {
  if (leg.ends) return "ending";
  if (leg.is_confirmed()) return "confirmed";
  return leg.dialogs.empty() ? "trying" : "early";
}

// The dialog that speaks for the call: one that talks, else one that may.
const Dialog* dialog_of(const Leg& leg) {
  const auto rank = [](const Dialog& dialog) {
    if (dialog.is_call()) return 3;
    return dialog.state == Dialog::State::confirmed ? 2 : dialog.state == Dialog::State::early ? 1 : 0;
  };
  const auto best = std::ranges::max_element(leg.dialogs, {}, rank);
  return best == leg.dialogs.end() ? nullptr : &*best;
}

const MediaSession& session_of(const EngineRooms& rooms, const Leg& leg, const Dialog* dialog) {
  static const MediaSession none;
  if (dialog) return dialog->session;
  const Transaction* attempt = leg.invites.empty() ? nullptr : rooms.calls.transaction(leg.invites.back());
  return attempt ? attempt->offer.said : none;
}

// Of what stands the newest; of what is offered while nothing stands.
std::optional<Doors::Found> door_of_line(const EngineRooms& rooms, const Leg& leg, const Dialog* dialog, std::size_t line) {
  const MediaUse* best = nullptr;
  for (const MediaUse& use : leg.media) {
    if (use.line != line || use.is_rtcp || use.is_way_out || use.ends || !rooms.doors.has(use.door)) continue;
    if (use.dialog != 0 && (!dialog || use.dialog != dialog->id)) continue;
    if (!best || (use.waits == best->waits ? use.sdp > best->sdp : best->waits)) best = &use;
  }
  return best ? rooms.doors.find(best->door) : std::nullopt;
}

std::string kind_of(const StreamNote& note) {
  return escaped({note.kind.data(), ::strnlen(note.kind.data(), note.kind.size())});
}

std::string_view name_of(StreamNote::Direction direction) {
  static constexpr std::array<std::string_view, 5> names{"sendrecv", "sendonly", "recvonly", "inactive", "off"};
  return names[static_cast<std::size_t>(direction)];
}

std::vector<report::Stream> streams_of(const EngineRooms& rooms, const Leg& leg, const Dialog* dialog) {
  std::vector<report::Stream> out;
  const MediaSession& session = session_of(rooms, leg, dialog);
  const std::vector<StreamNote> notes = session.notes();
  for (std::size_t i = 0; i < notes.size(); ++i) {
    report::Stream stream;
    stream.line = static_cast<uint32_t>(i);
    stream.kind = kind_of(notes[i]);
    stream.direction = name_of(notes[i].direction);
    if (const auto door = door_of_line(rooms, leg, dialog, i)) {
      stream.inside = door->inside;
      stream.outside = door->outside;
    }
    session.for_each_remote([&](const RemoteStream& remote) {
      if (remote.line == i) stream.remote = remote.rtp;
    });
    out.push_back(std::move(stream));
  }
  return out;
}

report::Call report_call(const EngineRooms& rooms, const Leg& leg, Instant now) {
  const Dialog* dialog = dialog_of(leg);
  const std::string beginner = escaped(leg.texts[Leg::beginner_tag]), other = dialog ? escaped(leg.tag_of(*dialog)) : std::string();
  report::Call call;
  call.call_id = escaped(leg.texts[Leg::call_id]);
  call.inside_tag = leg.outgoing ? beginner : other;
  call.outside_tag = leg.outgoing ? other : beginner;
  call.inside_host = rooms.calls.path_of(leg).inside_host;
  call.direction = leg.outgoing ? "outgoing" : "incoming";
  call.state = state_of(leg);
  call.from = leg.texts[Leg::from];
  call.to = leg.texts[Leg::to];
  call.age = (now - Instant(leg.begun)).count();
  call.idle = (now - Instant(leg.last_message)).count();
  if (const auto ends = rooms.calls.ends_at(leg)) call.remaining = (*ends - now).count();
  call.held = session_of(rooms, leg, dialog).is_held();
  call.streams = streams_of(rooms, leg, dialog);
  for (DoorId door : rooms.calls.path_of(leg).doors) call.doors.push_back(door);
  for (const MediaUse& use : leg.media)
    if (std::ranges::find(call.doors, use.door) == call.doors.end()) call.doors.push_back(use.door);
  return call;
}

}  // namespace

void DoorEnds::note(DoorId door, MaybeInstant when) {
  const auto [it, fresh] = ends_.emplace(door, when);
  if (fresh) return;
  if (!when || !it->second) {
    it->second.reset();
  } else {
    it->second = std::max(*it->second, *when);
  }
}

void DoorEnds::note(const EngineRooms& rooms) {
  rooms.calls.for_each_leg([&](LegId, const Leg& leg) {
    for (DoorId door : rooms.calls.path_of(leg).doors) note(door, leg.ends);
    for (const MediaUse& use : leg.media) note(use.door, use.ends ? use.ends : leg.ends);
  });
  rooms.calls.for_each_transaction([&](TransactionId, const Transaction& t) {
    for (DoorId door : t.doors) note(door, t.ends);
  });
}

void DoorEnds::note(const Registrations& registrations) {
  registrations.for_each([&](RegistrationId, const Registration& r) {
    for (DoorId door : r.doors) note(door, r.ends);
  });
}

MaybeInstant DoorEnds::of(DoorId door) const {
  const auto it = ends_.find(door);
  return it == ends_.end() ? MaybeInstant{} : it->second;
}

report::Door report_door(const Doors& doors, DoorId id) {
  report::Door out;
  doors.look(id, [&](const DoorTable& table, const Door& door) {
    const KernelDoor kernel = table.kernel_door(door);
    out.id = id;
    out.purpose = names_of(door.purposes);
    out.protocol = kernel.protocol;
    out.inside = kernel.inside;
    out.outside = kernel.outside;
    out.scope = door.is_inbound() ? to_string(kernel.scope) : to_string(kernel.outside.address);
    out.owners = door.owners;
    out.in_kernel = door.handle != 0;
  });
  return out;
}

void report_calls(const EngineRooms& rooms, Instant now, std::vector<report::Call>& out) {
  rooms.calls.for_each_leg([&](LegId, const Leg& leg) {
    if (leg.is_call) out.push_back(report_call(rooms, leg, now));
  });
}

std::vector<report::Door> report_doors(const Doors& doors, const DoorEnds& ends, Instant now) {
  std::vector<report::Door> out;
  for (DoorId id : doors.ids()) {
    out.push_back(report_door(doors, id));
    if (out.back().id == 0) out.pop_back();  // gone in this moment
    else if (const MaybeInstant end = ends.of(id)) out.back().remaining = (*end - now).count();
  }
  return out;
}

std::vector<report::Registration> report_registrations(const Registrations& registrations, Instant now) {
  std::vector<report::Registration> out;
  registrations.for_each([&](RegistrationId, const Registration& r) {
    report::Registration view;
    view.aor = escaped(r.aor);
    view.contact = escaped(r.contact_text);
    view.inside = r.inside;
    view.outside = r.outside;
    view.registrar = r.registrar;
    view.remaining = (r.ends - now).count();
    out.push_back(std::move(view));
  });
  return out;
}

}  // namespace sipalg
