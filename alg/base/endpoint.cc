// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/base/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sipalg {
namespace {

unsigned digit_at(const char* at, const char* end) {
  return at == end ? 10U : static_cast<unsigned char>(*at) - static_cast<unsigned>('0');
}

// Up to three digits, the first of them 0 only when it is alone. More than 255: not an octet.
unsigned take_octet(const char*& at, const char* end) {
  unsigned value = digit_at(at, end);
  if (value > 9) return 256;
  ++at;
  if (value == 0) return 0;
  for (int more = 0; more < 2; ++more) {
    const unsigned digit = digit_at(at, end);
    if (digit > 9) break;
    value = value * 10 + digit;
    ++at;
  }
  return value;
}

std::optional<Address> parse_v6(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN + 1> buffer{};
  if (text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer.begin());
  std::array<uint8_t, 16> out{};
  if (inet_pton(AF_INET6, buffer.data(), out.data()) != 1) return std::nullopt;
  return Address::v6(out);
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool all_equal(std::span<const uint8_t> bytes, uint8_t value) {
  return std::ranges::all_of(bytes, [value](uint8_t b) { return b == value; });
}

}  // namespace

Address Address::from_bytes(std::span<const uint8_t> bytes) {
  if (bytes.size() == 4) return v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  if (bytes.size() != 16) return {};
  std::array<uint8_t, 16> b{};
  std::ranges::copy(bytes, b.begin());
  return v6(b);
}

bool Address::is_unspecified() const { return is_set() && all_equal(bytes(), 0); }
bool Address::is_multicast() const {
  return family_ == Family::v4 ? (bytes_[0] & 0xf0) == 0xe0 : family_ == Family::v6 && bytes_[0] == 0xff;
}
bool Address::is_loopback() const {
  if (family_ == Family::v4) return bytes_[0] == 127;
  return family_ == Family::v6 && all_equal(bytes().first(15), 0) && bytes_[15] == 1;
}
bool Address::is_broadcast() const { return family_ == Family::v4 && all_equal(bytes(), 0xff); }
bool Address::is_unicast() const {
  return is_set() && !is_unspecified() && !is_multicast() && !is_loopback() && !is_broadcast();
}

const char* read_v4(const char* at, const char* end, std::optional<Address>& out) {
  std::array<uint8_t, 4> bytes;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != 0 && (at == end || *at++ != '.')) return nullptr;
    const unsigned octet = take_octet(at, end);
    if (octet > 255) return nullptr;
    bytes[i] = static_cast<uint8_t>(octet);
  }
  out = Address::v4(bytes);
  return at;
}

std::optional<Address> parse_address(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text.front() == '[') {
    if (text.size() < 3 || text.back() != ']') return std::nullopt;
    return parse_v6(text.substr(1, text.size() - 2));
  }
  const char* const end = text.data() + text.size();
  std::optional<Address> v4;
  if (read_v4(text.data(), end, v4) == end) return v4;
  return text.find(':') == std::string_view::npos ? std::nullopt : parse_v6(text);
}

void AddressText::add(const Address& address) {
  char* at = &text_[size_];
  if (address.family() == Family::v6) {
    inet_ntop(AF_INET6, address.bytes().data(), at, INET6_ADDRSTRLEN);
    size_ = static_cast<uint8_t>(size_ + std::strlen(at));
    return;
  }
  for (const uint8_t byte : address.bytes()) {  // inet_ntop would print it: every edit writes one
    if (at != &text_[size_]) *at++ = '.';
    at = std::to_chars(at, text_.data() + text_.size(), byte).ptr;
  }
  size_ = static_cast<uint8_t>(at - text_.data());
}

void AddressText::add(uint16_t port) {
  size_ = static_cast<uint8_t>(std::to_chars(&text_[size_], text_.data() + text_.size(), port).ptr - text_.data());
}

std::string to_string(const Address& address) {
  return address.is_set() ? std::string(AddressText(address)) : "none";
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  std::size_t colon = std::string_view::npos;
  if (!text.empty() && text.front() == '[') {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    if (bracket + 1 < text.size()) colon = bracket + 1;
  } else if (std::ranges::count(text, ':') == 1) {
    colon = text.find(':');
  }
  const auto address = parse_address(text.substr(0, colon));
  if (!address) return std::nullopt;
  if (colon == std::string_view::npos) return Endpoint{*address, 0};
  if (text[colon] != ':') return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  return Endpoint{*address, *port};
}

std::string to_string(const Endpoint& endpoint) {
  std::string text = to_string(endpoint.address);
  if (endpoint.address.family() == Family::v6) text = "[" + text + "]";
  return text += ":" + std::to_string(endpoint.port);
}

bool Network::contains(const Address& other) const {
  if (is_any()) return true;
  if (other.family() != address.family()) return false;
  const auto a = address.bytes(), b = other.bytes();
  const std::size_t whole = prefix / 8U;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
  const unsigned rest = prefix % 8U;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8U - rest)) == 0;
}

Network Network::of(const Address& address) {
  return {address, static_cast<uint8_t>(address.bytes().size() * 8)};
}

bool overlap(const Network& a, const Network& b) {
  return a.is_any() || b.is_any() || a.contains(b.address) || b.contains(a.address);
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  Network network = Network::of(*address);
  if (slash == std::string_view::npos) return network;
  const auto prefix = parse_port(text.substr(slash + 1));
  if (!prefix || *prefix > network.prefix) return std::nullopt;
  std::array<uint8_t, 16> bytes{};
  std::ranges::copy(address->bytes(), bytes.begin());
  for (std::size_t bit = *prefix; bit < network.prefix; ++bit)
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] & ~(0x80U >> (bit % 8)));
  return Network{Address::from_bytes(std::span(bytes).first(network.prefix / 8U)), static_cast<uint8_t>(*prefix)};
}

std::string to_string(const Network& network) {
  if (network.is_any()) return "any";
  if (network.prefix == network.address.bytes().size() * 8) return to_string(network.address);
  return to_string(network.address) + "/" + std::to_string(network.prefix);
}

}  // namespace sipalg
