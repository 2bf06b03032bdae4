// SPDX-License-Identifier: GPL-2.0-or-later
// What the other side hands back: restored by record, byte for byte (sip-rules section 1, columns "response in" and
// "request in").
#pragma once
#include "alg/rewrite/passage.h"

namespace sipalg {

class HeaderRestore {
 public:
  HeaderRestore(Rules& rules, const Passage& passage, Group& group) : rules_(rules), passage_(passage), group_(group) {}

  // Response to a request that went out. `transaction` nullptr: lost; the top Via falls back to the door.
  void via(const Transaction* transaction);
  void response_fields(const Transaction& transaction);  // Record-Route, Path, From
  void registered_contacts(const Transaction& transaction);
  // Request that comes in. `leg` nullptr: out of any dialog we know.
  void request_uri(const Leg* leg);
  void routes(const Leg* leg);
  void to(const Leg& leg);
  // What request_uri() and routes() decided, and the same decisions once more for a message that repeats or follows it.
  void keep_decisions(RestoredUris& decisions) const;
  void repeat(const RestoredUris& decisions);

 private:
  void put(Span span, Field field, std::string_view text);
  bool from_list(const sip::Uri& uri, Field as, Field written, const Givens& list, std::size_t nth = 0);
  template <typename L> void from_transaction(const L& values, Field field, const Transaction& transaction);
  std::optional<Endpoint> inside_of(const sip::Uri& uri);
  std::optional<Doors::Found> door_named(const sip::Uri& uri, const Endpoint& outside) const;
  bool from_registrations(const sip::Uri& uri, Field as, Field written);
  void from_door(const sip::Uri& uri, Field as, bool in_dialog);
  void via_parameters(const sip::Via& via, const FlowEnd& source);
  void via_by_door(const sip::Via& via);

  Rules& rules_;
  const Passage& passage_;
  Group& group_;
};

}  // namespace sipalg
