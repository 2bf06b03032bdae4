// SPDX-License-Identifier: GPL-2.0-or-later
// Packets: the view stays inside, and a packet with another payload can be viewed again and is the same otherwise.
#include "alg/packet/datagram.h"
#include "test/fuzz/check.h"

using namespace sipalg;
using test::check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto view = view_datagram({data, size});
  if (!view) return 0;
  check(view->packet.data() == data && view->packet.size() <= size && view->payload_offset <= view->packet.size());
  check(view->transport_offset < view->payload_offset);
  if (view->protocol != Protocol::udp) return 0;
  std::vector<uint8_t> out, again;
  replace_payload(*view, "another payload", (data[0] & 1) != 0, out);
  const auto after = view_datagram(out);
  check(after.has_value() && after->payload() == "another payload" && after->source == view->source && after->destination == view->destination);
  replace_payload(*after, after->payload(), false, again);
  check(out == again);
  return 0;
}
