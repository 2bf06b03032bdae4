// SPDX-License-Identifier: GPL-2.0-or-later
// The header fields our side wrote: mapped by door (sip-rules section 1, columns "request out" and "response out").
//
// How it works
//   One HeaderMap serves one message that leaves. Each field names an inside endpoint; the endpoint gets its door (a
//   living one, or a new one where the message may make it), and the field gets the door's outside endpoint as text.
//   Doors are claimed in the Group, sorted by who will own them; nothing is told to the kernel here.
//   A field that is not ours (a name, the outside address itself, anybody else's address) stays and fails nothing. A door
//   that policy or tables refuse fails the group, and with it every header edit of this message.
#pragma once
#include "alg/rewrite/naming.h"
#include "alg/rewrite/passage.h"
#include "alg/sip/second_opinion.h"

namespace sipalg {

class HeaderMap {
 public:
  // `may_create`: false for ACK and CANCEL: living doors and the flow's own mapping only.
  HeaderMap(Rules& rules, const Passage& passage, Group& group, bool may_create)
      : rules_(rules), passage_(passage), group_(group), may_create_(may_create) {}

  void via();
  void contacts(bool own_only);            // own_only: REGISTER
  void record_routes();
  void paths();
  void service_routes();
  void from(const Address& outside);
  void to(const Givens& givens);
  void refer_to();

  using Owned = AnySmallList<DoorId>;
  using GivenList = SmallList<Given, 4>;
  GivenList via_givens, givens;            // what was mapped, to be restored later; borrow from the message
  SmallList<DoorId, 4> via_doors, doors;   // claimed: of the transaction; of whoever owns Contact and routes
  SmallList<RegistrationWish, 1> wishes;   // REGISTER: its Contacts, their doors reserved in the group
  sip::Compared fields = sip::Compared::none;  // that doors come from
  bool wrote_outside_itself = false;       // any field held the outside address already
  bool via_wrote_outside_itself = false;   // the top Via did

 private:
  std::optional<Endpoint> map(Protocol protocol, const Endpoint& inside, Purpose purpose, Owned& owned);
  std::optional<Endpoint> map_endpoint(const sip::Uri& uri, const Endpoint& inside, Purpose purpose, Owned& owned);
  void claim_twin(const Endpoint& inside, const Endpoint& outside, Purpose purpose, Owned& owned);
  std::optional<Endpoint> map_living(Protocol protocol, const Endpoint& inside);
  DoorTable::SignallingWish wish_for(Protocol protocol, const Endpoint& inside, Purpose purpose) const;
  std::optional<Endpoint> claim(Protocol protocol, const Endpoint& inside, Purpose purpose, Owned& owned);
  bool is_allowed(const Endpoint& inside, Standing standing);
  void map_uri(const sip::Uri& uri, Field field, Purpose purpose);
  void write(const sip::Uri& uri, Field field, const Endpoint& inside, const Endpoint& outside);
  void write_host_port(const sip::HostPort& host_port, Span user, Field field, const Endpoint& outside, GivenList& list);
  void write_name_port(const sip::HostPort& host_port, Span user, Field field, uint16_t port, GivenList& list);
  void via_source_door(const sip::Via& via, const Endpoint& sent_by);
  void foreign_via_door(const sip::Via& via, const Endpoint& sent_by);
  void map_registration(const sip::Uri& uri, bool is_path, std::optional<uint32_t> asked);

  Rules& rules_;
  const Passage& passage_;
  Group& group_;
  bool may_create_;
  bool has_twin_ = false;                        // a new door's port must be free for the other protocol, too
  bool reserving_ = false;                       // the doors wait for the 2xx to REGISTER
  sip::Compared current_ = sip::Compared::none;  // the field being mapped
};

}  // namespace sipalg
