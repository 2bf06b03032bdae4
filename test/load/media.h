// SPDX-License-Identifier: GPL-2.0-or-later
// An RTP packet of 20 ms G.711 with its number in it.
#pragma once
#include "test/load/template.h"

namespace sipalg::load {

inline Template media_packet() {
  std::string bytes{'\x80', '\0', '\0', '\1'};
  bytes.resize(12, '\1');
  return Template(bytes + "{branch}" + std::string(150, '\x55'));
}

}  // namespace sipalg::load
