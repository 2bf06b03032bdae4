// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/load/proxied.h"

#include <charconv>

namespace sipalg::load {
namespace {

std::optional<uint64_t> number_behind(std::string_view message, std::string_view words, bool last = false) {
  const std::size_t found = last ? message.rfind(words) : message.find(words);
  if (found == std::string_view::npos) return std::nullopt;
  const std::string_view rest = message.substr(found + words.size());
  uint64_t number = 0;
  const auto end = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  return end.ec == std::errc() ? std::optional(number) : std::nullopt;
}

std::string_view line_of(std::string_view message, std::string_view name) {
  const std::size_t found = message.find(name);
  if (found == std::string_view::npos) return {};
  return message.substr(found, message.find("\r\n", found + 2) - found);
}

std::optional<Kind> ok_to(std::string_view message) {
  const std::string_view cseq = line_of(message, "\r\nCSeq: ");
  if (cseq.ends_with(" INVITE")) return Kind::answer;
  if (cseq.ends_with(" BYE")) return Kind::bye_ok;
  if (cseq.ends_with(" INFO")) return Kind::info_ok;
  if (cseq.ends_with(" REGISTER")) return Kind::refresh_ok;
  if (cseq.ends_with(" OPTIONS")) return Kind::options_ok;
  return std::nullopt;
}

std::optional<Kind> kind_of(std::string_view message) {
  if (message.starts_with("SIP/2.0 100 ")) return Kind::trying;
  if (message.starts_with("SIP/2.0 180 ")) return Kind::ringing;
  if (message.starts_with("SIP/2.0 200 ")) return ok_to(message);
  if (message.starts_with("INVITE "))
    return line_of(message, "\r\nTo: ").find(";tag=") == std::string_view::npos ? Kind::invite : Kind::reinvite;
  if (message.starts_with("ACK ")) return Kind::ack;
  if (message.starts_with("BYE ")) return Kind::bye;
  if (message.starts_with("INFO ")) return Kind::info;
  if (message.starts_with("REGISTER ")) return Kind::refresh;
  if (message.starts_with("OPTIONS ")) return Kind::options;
  return std::nullopt;
}

}  // namespace

std::optional<Kind> read_proxied(std::string_view message, bool at_outside, std::string_view relay_host, Values& values) {
  const auto kind = kind_of(message);
  const auto call = number_behind(message, "\r\nCall-ID: "), cseq = number_behind(message, "\r\nCSeq: ");
  const auto branch = number_behind(message, ";branch=z9hG4bK", true);  // ours is the undermost Via
  if (!kind || leaves_inside(*kind) != at_outside || !call || !cseq || !branch) return std::nullopt;
  values = {*call, *branch, *cseq, 0};
  if (!has_sdp(*kind)) return kind;
  const auto media = number_behind(message, "\r\nm=audio ");
  if (!media || line_of(message, "\r\nc=IN IP4 ").substr(11) != relay_host) return std::nullopt;
  at(values, Slot::media) = *media;
  return kind;
}

std::string response_to(std::string_view request, std::string_view response) {
  const std::size_t first = response.find("\r\n") + 2, second = response.find("\r\n", first) + 2;  // status line, our Via
  std::string text(response.substr(0, first));
  std::string_view head = request.substr(0, request.find("\r\n\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n") + 2);
    if (line.starts_with("Via: ") || line.starts_with("Record-Route: ")) text += line;
    head.remove_prefix(line.size());
  }
  return text.append(response.substr(second));
}

}  // namespace sipalg::load
