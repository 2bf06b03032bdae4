// SPDX-License-Identifier: GPL-2.0-or-later
// What daemon and sipalgctl say to each other: one line of JSON each way over a UNIX stream socket, then it is closed.
//
//     {"version":1,"command":"call","argument":"a84b4c76e66710@pc33"}
//     {"version":1,"ok":true,"result":{...}}
//     {"version":1,"ok":false,"error":"no such call","cure":"`sipalgctl show calls` lists them"}
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "alg/control/json.h"

namespace sipalg::control {

inline constexpr int version = 1;
inline constexpr std::string_view default_socket = "/run/sipalg/control.sock";

// --- bounds ---
inline constexpr std::size_t request_bytes = 4096;
inline constexpr std::size_t answer_bytes = 32UL * 1024 * 1024;
inline constexpr std::size_t rows = 10'000;  // of one list in one answer; the answer tells how many were left off

enum class Command : uint8_t {
  stats, calls, call, doors, registrations, connections, config, clear_stats, ruleset, clear_call, clear_calls, clear_registrations,
  service_list, service_add, service_remove, service_on, service_off, count_,
};
std::string_view name_of(Command command);  // "clear-stats"

struct Request {
  Command command = Command::stats;
  std::string argument;  // call, clear_call: the Call-ID; service_...: service_argument.h; empty otherwise
};

struct Error {
  std::string text, cure;
};

bool needs_call_id(Command command);
Error call_id_missing(Command command);  // sipalgctl says so before it sends, sipalgd when it comes

// A line without its line end. Unknown keys are allowed: a newer sipalgctl may send more.
std::expected<Request, Error> parse_request(std::string_view line);
std::string to_line(const Request& request);  // with its line end

std::expected<Json, Error> parse_answer(std::string_view line);
// With its line end. An answer that would exceed answer_bytes becomes an error that says so.
std::string to_line(const std::expected<Json, Error>& answer);

// Collects one line from a stream, however it is cut, and never more than `most` bytes of it.
class LineBuffer {
 public:
  enum class State : uint8_t { incomplete, complete, too_long };
  explicit LineBuffer(std::size_t most) : most_(most) {}
  State append(std::string_view bytes);  // bytes behind the line's end are left
  State state() const { return state_; }
  std::string_view line() const { return line_; }  // borrows; without the line end

 private:
  std::size_t most_;
  std::string line_;
  State state_ = State::incomplete;
};

}  // namespace sipalg::control
