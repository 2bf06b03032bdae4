// SPDX-License-Identifier: GPL-2.0-or-later
// The messages of calls and registrations between a phone or PBX inside and its provider, as templates.
#pragma once
#include "test/load/template.h"

namespace sipalg::load {

enum class Kind : uint8_t {
  invite, trying, ringing, answer, ack,             // a call begins
  reinvite,                                         // and is refreshed, with `answer` and `ack`
  bye, bye_ok, info, info_ok, refresh, refresh_ok,  // refresh: a REGISTER
  options, options_ok,                              // a phone asks whether its provider lives
};
inline constexpr std::size_t kinds = 14;
std::string_view name_of(Kind kind);
bool leaves_inside(Kind kind);  // the inside writes it
bool has_sdp(Kind kind);
std::string_view outside_of_calls(Kind kind);  // REGISTER, OPTIONS; empty: a call's

struct Style {
  std::string_view transport = "UDP";
  bool large = false;  // every message has 1,400 bytes before it is mapped
};
inline constexpr std::size_t large_bytes = 1400;

// The inside and the outside end, "address" and port, as the reader of the text has them.
struct Ends {
  std::string inside_host;
  uint16_t inside_port = 0;
  std::string outside_host;
  uint16_t outside_port = 0;
};

// What `written` is as its writer has it: a large one is filled up so that the writer's text has large_bytes. `seen` gives
// the same text, with the same filling, as the other side has it.
std::string marked_text(Kind kind, const Style& style, const Ends& written, const Ends& seen);

}  // namespace sipalg::load
