// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine did to one datagram, as JSON and as text.
#pragma once
#include <iosfwd>

#include "alg/control/json.h"
#include "alg/engine/engine.h"

namespace sipalg {

Json to_json(const Verdict& verdict, const Trace& trace);
void show_trace(const Json& report, std::ostream& out);

}  // namespace sipalg
