// SPDX-License-Identifier: GPL-2.0-or-later
// One address type for IPv4 and IPv6, so that nothing above it branches on the family.
#pragma once
#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sipalg {

enum class Protocol : uint8_t { tcp = 6, udp = 17 };
constexpr std::string_view name_of(Protocol protocol) { return protocol == Protocol::tcp ? "tcp" : "udp"; }

enum class Family : uint8_t { none = 0, v4 = 4, v6 = 6 };

// An IP address of either family, or none. Bytes in network order.
class Address {
 public:
  constexpr Address() = default;
  static constexpr Address v4(std::array<uint8_t, 4> b) {
    Address a;
    a.family_ = Family::v4;
    for (std::size_t i = 0; i < 4; ++i) a.bytes_[i] = b[i];
    return a;
  }
  static constexpr Address v6(std::array<uint8_t, 16> b) {
    Address a;
    a.family_ = Family::v6;
    a.bytes_ = b;
    return a;
  }
  // 4 or 16 bytes in network order; anything else gives none.
  static Address from_bytes(std::span<const uint8_t> bytes);

  constexpr Family family() const { return family_; }
  constexpr bool is_set() const { return family_ != Family::none; }
  constexpr std::span<const uint8_t> bytes() const {
    return {bytes_.data(), family_ == Family::v4 ? 4U : family_ == Family::v6 ? 16U : 0U};
  }
  bool is_unspecified() const;
  bool is_multicast() const;
  bool is_loopback() const;
  bool is_broadcast() const;  // 255.255.255.255
  // May be the far end of a packet: set, and none of the four above.
  bool is_unicast() const;

  friend constexpr auto operator<=>(const Address&, const Address&) = default;
  friend constexpr bool operator==(const Address& a, const Address& b) { return a.family_ == b.family_ && a.words() == b.words(); }
  constexpr std::array<uint64_t, 2> words() const { return std::bit_cast<std::array<uint64_t, 2>>(bytes_); }  // for comparing and hashing

 private:
  std::array<uint8_t, 16> bytes_{};
  Family family_ = Family::none;
};

// Dotted decimal without leading zeros, or IPv6 (RFC 4291 section 2.2) with or without brackets. No zone id.
std::optional<Address> parse_address(std::string_view text);
std::string to_string(const Address& address);
// Dotted decimal without leading zeros at the begin of [at, end): the first byte behind it, or null when none stands there.
const char* read_v4(const char* at, const char* end, std::optional<Address>& out);

// What is written of an address and a port, without an allocation.
class AddressText {
 public:
  AddressText() = default;
  explicit AddressText(const Address& address) { add(address); }
  explicit AddressText(uint16_t port) { add(port); }
  void add(char c) { text_[size_++] = c; }
  void add(const Address& address);  // as to_string()
  void add(uint16_t port);
  operator std::string_view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 64> text_;  // brackets, 45 bytes of an IPv6 address, a colon, five digits
  uint8_t size_ = 0;
};

// An address and a port in host order.
struct Endpoint {
  Address address;
  uint16_t port = 0;
  constexpr bool is_set() const { return address.is_set(); }
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
// "192.0.2.1:5060", "[2001:db8::1]:5060"; without a port the port is 0.
std::optional<Endpoint> parse_endpoint(std::string_view text);
std::string to_string(const Endpoint& endpoint);  // IPv6 in brackets; port 0 is written ":0"

// Addresses that share a prefix. Prefix 0 of no family (the default) is everybody of both families.
struct Network {
  Address address;
  uint8_t prefix = 0;
  bool contains(const Address& other) const;
  constexpr bool is_any() const { return !address.is_set(); }
  static Network of(const Address& address);  // that address alone
  friend constexpr auto operator<=>(const Network&, const Network&) = default;
};
bool overlap(const Network& a, const Network& b);  // have an address in common
// "10.0.0.0/8", "2001:db8::/32", or an address alone. Bits behind the prefix are cleared.
std::optional<Network> parse_network(std::string_view text);
std::string to_string(const Network& network);  // "any" for everybody

struct PortRange {
  uint16_t first = 0, last = 0;  // both inclusive
  constexpr bool contains(uint16_t port) const { return port >= first && port <= last; }
  friend constexpr auto operator<=>(const PortRange&, const PortRange&) = default;
};

// Three multiplications: keys are short, and nobody can fill a table beyond the bounds of limits.h.
constexpr std::size_t hash_of(const Address& address, std::size_t seed) {
  constexpr std::size_t odd = 0x9e3779b97f4a7c15ULL;
  const auto words = address.words();
  std::size_t hash = (seed + static_cast<std::size_t>(address.family())) * odd ^ words[0];
  hash = (hash ^ hash >> 32) * odd ^ words[1];
  hash = (hash ^ hash >> 29) * odd;
  return hash ^ hash >> 32;
}

}  // namespace sipalg

template <> struct std::hash<sipalg::Address> {
  std::size_t operator()(const sipalg::Address& a) const noexcept {
    return sipalg::hash_of(a, 0);
  }
};
template <> struct std::hash<sipalg::Endpoint> {
  std::size_t operator()(const sipalg::Endpoint& e) const noexcept {
    return sipalg::hash_of(e.address, std::size_t{1} + e.port / 2U) ^ (e.port & 1U);  // a media line's ports: in tables side by side
  }
};
