// SPDX-License-Identifier: GPL-2.0-or-later
// Messages behind a proxy that adds its Via and relays media: what has to be there, not every byte.
#pragma once
#include <optional>

#include "test/load/messages.h"

namespace sipalg::load {

// Which of our messages is it, and its numbers? Its description must name the relay's address. None: something is amiss.
std::optional<Kind> read_proxied(std::string_view message, bool at_outside, std::string_view relay_host, Values& values);

// `response` as it must go to a proxy: with the Via and Record-Route of the request (RFC 3261 section 8.2.6.2).
std::string response_to(std::string_view request, std::string_view response);

}  // namespace sipalg::load
