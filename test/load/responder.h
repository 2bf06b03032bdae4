// SPDX-License-Identifier: GPL-2.0-or-later
// The provider outside: answers what arrives, and remembers nothing of it.
#pragma once
#include "test/load/plan.h"
#include "test/load/tally.h"
#include "test/load/wire.h"

namespace sipalg::load {

class Responder {
 public:
  Responder(const Plan& plan, const Flows& flows, Shared& shared) : plan_(plan), flows_(flows), shared_(shared) {}
  // A thread's whole work: until the run is over.
  void run();

 private:
  void tell_ready();
  void serve();
  void take(const Arrival& arrival);
  void answer(std::string_view request, Kind kind, const Values& values);
  void send(std::string_view request, Kind kind, const Values& values);
  std::size_t place_of(uint64_t call) const { return (call - plan_.first_call) % plan_.calls; }
  void echo_media();

  const Plan& plan_;
  const Flows& flows_;
  Shared& shared_;
  std::unique_ptr<Wire> wire_;
};

}  // namespace sipalg::load
