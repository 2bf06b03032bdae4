// SPDX-License-Identifier: GPL-2.0-or-later
// Requests and answers to lines and back. Nothing here throws on what a peer sent.
#include "alg/control/protocol.h"

#include <array>
#include <optional>

#include "alg/base/text.h"

namespace sipalg::control {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Command::count_)> names{
    "stats", "calls", "call", "doors", "registrations", "connections", "config", "clear-stats", "ruleset",
    "clear-call", "clear-calls", "clear-registrations",
    "service-list", "service-add", "service-remove", "service-on", "service-off"};
static_assert(!names.back().empty(), "a command has no name");

std::optional<Command> find_command(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Command>(i);
  return std::nullopt;
}

std::optional<std::string> find_text(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

std::unexpected<Error> fail(std::string text, std::string cure) {
  return std::unexpected(Error{std::move(text), std::move(cure)});
}

// The object in `line`, when it speaks our version.
std::expected<Json, Error> parse_object(std::string_view line) {
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return fail("this is no JSON object", "send one JSON object on one line");
  const auto it = json.find("version");
  if (it == json.end() || !it->is_number_integer()) return fail("there is no version in it", R"(begin with {"version":1)");
  if (it->get<int64_t>() == version) return json;
  return fail("protocol version " + it->dump() + " is not spoken here, only " + std::to_string(version),
              "use sipalgctl and sipalgd of the same release, and restart sipalgd after an upgrade");
}

}  // namespace

bool needs_call_id(Command command) { return command == Command::call || command == Command::clear_call; }

Error call_id_missing(Command command) {
  return {"a Call-ID is missing", std::string("`sipalgctl show calls` lists them") +
                                      (command == Command::clear_call ? "; `sipalgctl clear calls` ends all" : "")};
}

std::string_view name_of(Command command) { return names[static_cast<std::size_t>(command)]; }

std::expected<Request, Error> parse_request(std::string_view line) {
  const auto json = parse_object(line);
  if (!json) return std::unexpected(json.error());
  const auto name = find_text(*json, "command");
  if (!name) return fail("there is no command in it", R"(add "command":"stats")");
  const auto command = find_command(*name);
  if (!command) return fail("unknown command '" + escaped(*name) + "'", "sipalgctl and sipalgd are of different releases?");
  const auto argument = find_text(*json, "argument");
  // an unset variable in somebody's script must not mean all calls
  if (needs_call_id(*command) && (!argument || argument->empty())) return std::unexpected(call_id_missing(*command));
  return Request{*command, argument.value_or("")};
}

std::string to_line(const Request& request) {
  Json json{{"version", version}, {"command", name_of(request.command)}};
  if (!request.argument.empty()) json["argument"] = request.argument;
  return to_text(json) + "\n";
}

std::expected<Json, Error> parse_answer(std::string_view line) {
  auto json = parse_object(line);
  if (!json) return std::unexpected(json.error());
  const auto ok = json->find("ok");
  if (ok == json->end() || !ok->is_boolean()) return fail("the answer is not one of sipalgd", "is the socket path right?");
  if (!ok->get<bool>())
    return fail(find_text(*json, "error").value_or("unknown error"), find_text(*json, "cure").value_or(""));
  return json->contains("result") ? std::move((*json)["result"]) : Json(nullptr);
}

std::string to_line(const std::expected<Json, Error>& answer) {
  Json json{{"version", version}, {"ok", answer.has_value()}};
  if (answer) {
    json["result"] = *answer;
  } else {
    json["error"] = answer.error().text;
    json["cure"] = answer.error().cure;
  }
  std::string line = to_text(json) + "\n";
  if (line.size() <= answer_bytes) return line;
  return to_line(std::expected<Json, Error>(fail("the answer is too large", "ask for less")));
}

LineBuffer::State LineBuffer::append(std::string_view bytes) {
  if (state_ != State::incomplete) return state_;
  const std::size_t end = bytes.find('\n');
  const std::string_view piece = bytes.substr(0, end);
  if (piece.size() > most_ - line_.size()) return state_ = State::too_long;
  line_ += piece;
  return state_ = end == std::string_view::npos ? State::incomplete : State::complete;
}

}  // namespace sipalg::control
