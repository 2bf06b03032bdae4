// SPDX-License-Identifier: GPL-2.0-or-later
// What happened to one message as a line of the debug log.
#pragma once
#include "alg/daemon/log.h"
#include "alg/engine/engine.h"

namespace sipalg {

void log_trace(const Log& log, const SipDatagram& datagram, const Verdict& verdict, const Trace& trace);

}  // namespace sipalg
