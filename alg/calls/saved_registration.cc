// SPDX-License-Identifier: GPL-2.0-or-later
// See saved_registration.h.
#include "alg/calls/saved_registration.h"

#include "alg/base/saved_bytes.h"

namespace sipalg {
namespace {

constexpr int64_t version = 1;
constexpr int64_t most_items = 4096;  // far above what limits.h lets a registration have

void write(ByteWriter& out, const Address& address) {
  const auto bytes = address.bytes();
  out.text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
void write(ByteWriter& out, const Endpoint& endpoint) {
  write(out, endpoint.address);
  out.number(endpoint.port);
}

Address read_address(ByteReader& in) {
  const std::string_view bytes = in.text();
  return Address::from_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}
template <typename Number> Number read(ByteReader& in) { return static_cast<Number>(in.number()); }
Endpoint read_endpoint(ByteReader& in) {
  const Address address = read_address(in);
  return {address, read<uint16_t>(in)};
}
Instant read_instant(ByteReader& in) { return Instant{std::chrono::milliseconds{in.number()}}; }

void write_door(ByteWriter& out, const DoorTable& table, const Door& door) {
  const KernelDoor kernel = table.kernel_door(door);
  out.number(static_cast<int64_t>(kernel.protocol));
  write(out, kernel.inside);
  write(out, kernel.outside);
  write(out, kernel.scope.address);
  out.number(kernel.scope.prefix);
  out.number(kernel.zone);
  out.number(door.purposes);
  const DoorTable::Contact contact = table.contact_of(door);
  out.text(contact.text);
  out.text(contact.user);
}

SavedDoor read_door(ByteReader& in) {
  SavedDoor door;
  door.protocol = read<Protocol>(in);
  door.inside = read_endpoint(in);
  door.outside = read_endpoint(in);
  door.scope.address = read_address(in);
  door.scope.prefix = read<uint8_t>(in);
  door.zone = read<uint16_t>(in);
  const auto purposes = read<uint8_t>(in);
  const bool is_path_alone = (purposes & static_cast<uint8_t>(Purpose::path)) != 0 && (purposes & static_cast<uint8_t>(Purpose::contact)) == 0;
  if (is_path_alone) door.purpose = Purpose::path;
  door.contact_text = in.text();
  door.contact_user = in.text();
  return door;
}

}  // namespace

std::string saved(const Registration& r, bool is_own, const Doors& doors) {
  ByteWriter out;
  out.number(version);
  out.number(is_own ? 1 : 0);
  for (const std::string_view text : {std::string_view(r.aor), std::string_view(r.user), std::string_view(r.contact_text)}) out.text(text);
  for (const Endpoint& endpoint : {r.inside, r.outside, r.source.inside, r.source.outside, r.remote}) write(out, endpoint);
  write(out, r.registrar);
  out.number(static_cast<int64_t>(r.protocol));
  out.number(static_cast<int64_t>(r.transport));
  out.number(r.ends.time_since_epoch().count());
  out.number(static_cast<int64_t>(r.givens.size()));
  for (const Given given : r.givens) {
    out.number(static_cast<int64_t>(given.field));
    write(out, given.given);
    out.text(given.before);
    out.text(given.user);
  }
  for (const DoorId id : r.doors)
    doors.look(id, [&](const DoorTable& table, const Door& door) {
      out.number(1);
      write_door(out, table, door);
    });
  out.number(0);
  return out.finish();
}

std::optional<SavedRegistration> read_saved(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.number() != version) return std::nullopt;
  SavedRegistration out;
  Registration& r = out.registration;
  out.was_own = in.number() != 0;
  for (std::string* text : {&r.aor, &r.user, &r.contact_text}) *text = in.text();
  for (Endpoint* endpoint : {&r.inside, &r.outside, &r.source.inside, &r.source.outside, &r.remote}) *endpoint = read_endpoint(in);
  r.registrar = read_address(in);
  r.protocol = read<Protocol>(in);
  r.transport = read<sip::Transport>(in);
  r.ends = read_instant(in);
  const int64_t givens = in.number();
  if (givens < 0 || givens > most_items) return std::nullopt;
  for (int64_t i = 0; i < givens && !in.failed(); ++i) {
    const auto field = read<Field>(in);
    const Endpoint given = read_endpoint(in);
    const std::string_view before = in.text();
    r.givens.add({field, given, before, in.text()});
  }
  while (in.number() != 0 && !in.failed()) out.doors.push_back(read_door(in));
  if (!in.done()) return std::nullopt;
  return out;
}

}  // namespace sipalg
