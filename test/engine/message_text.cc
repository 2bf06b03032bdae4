// SPDX-License-Identifier: GPL-2.0-or-later
#include "test/engine/message_text.h"

#include "alg/base/endpoint.h"

namespace sipalg::test {
namespace {

std::size_t line_of(const std::string& message, std::string_view header) {
  const std::string start = "\r\n" + std::string(header) + ": ";
  const std::size_t at = message.find(start);
  return at == std::string::npos || at > message.find("\r\n\r\n") ? std::string::npos : at + 2;
}

}  // namespace

std::string first_line_of(const std::string& message) { return message.substr(0, message.find("\r\n")); }

std::vector<std::string> values_of(const std::string& message, std::string_view header) {
  std::vector<std::string> out;
  const std::size_t end = message.find("\r\n\r\n");
  const std::string start = "\r\n" + std::string(header) + ": ";
  for (std::size_t at = message.find(start); at < end; at = message.find(start, at + 1)) {
    const std::size_t begin = at + start.size();
    out.push_back(message.substr(begin, message.find("\r\n", begin) - begin));
  }
  return out;
}

std::string value_of(const std::string& message, std::string_view header) {
  const auto values = values_of(message, header);
  return values.empty() ? std::string() : values.front();
}

std::string uri_in(const std::string& name_addr) {
  const std::size_t begin = name_addr.find('<') + 1;
  return name_addr.substr(begin, name_addr.find('>') - begin);
}

std::string host_port_in(std::string_view uri) {
  const std::size_t user = uri.find('@');
  uri.remove_prefix(user != std::string_view::npos ? user + 1 : uri.starts_with("sip:") ? 4 : 0);
  std::string text(uri.substr(0, uri.find_first_of("; >")));
  if (text.ends_with(']') || text.find(':') == std::string::npos) text += ":5060";
  return parse_endpoint(text) ? text : std::string();
}

std::string host_of(std::string_view host_port) { return std::string(host_port.substr(0, host_port.rfind(':'))); }

std::string without_tag(const std::string& name_addr) { return name_addr.substr(0, name_addr.find(";tag=")); }

std::string lines_of(std::string_view header, const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += std::string(header) + ": " + value + "\r\n";
  return out;
}

std::string without_first(const std::string& message, std::string_view header) {
  const std::size_t at = line_of(message, header);
  if (at == std::string::npos) return message;
  return message.substr(0, at) + message.substr(message.find("\r\n", at) + 2);
}

std::string with_first(const std::string& message, std::string_view line) {
  if (message.empty()) return {};
  const std::size_t at = message.find("\r\n") + 2;
  return message.substr(0, at) + std::string(line) + "\r\n" + message.substr(at);
}

}  // namespace sipalg::test
