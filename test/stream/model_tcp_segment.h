// SPDX-License-Identifier: GPL-2.0-or-later
// A segment as the model end reads it.
#pragma once
#include "test/stream/model_tcp.h"

namespace sipalg::test {

struct TcpEnd::Parsed {
  uint32_t sequence, acknowledgement, ts_value = 0, ts_echo = 0;
  uint8_t flags;
  uint32_t window;
  bool has_timestamps = false, sack_permitted = false;
  int scale = -1;
  std::size_t mss = 0;
  std::vector<std::pair<uint32_t, uint32_t>> sack;
  std::string_view payload;
  int64_t begin = 0, until = 0;  // positions: of the payload, acknowledged
};

[[noreturn]] void fail(const std::string& what);

}  // namespace sipalg::test
