// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses, endpoints, networks, text.
#include <catch2/catch.hpp>
#include <unordered_set>

#include "alg/base/endpoint.h"
#include "alg/base/slab.h"
#include "alg/base/text.h"
#include "test/corpus/corpus.h"

using namespace sipalg;
using test::Exact;

TEST_CASE("addresses are read and written") {
  for (const char* text : {"10.0.0.2", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::1", "::ffff:192.0.2.1"}) {
    INFO(text);
    const auto address = parse_address(Exact(text));
    REQUIRE(address);
    CHECK(to_string(*address) == text);
  }
  CHECK(parse_address("[2001:db8::1]") == parse_address("2001:DB8:0:0::1"));
}

TEST_CASE("what is no address") {
  for (const char* text : {"", ".", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.0004", "1..2.3", "a.b.c.d",
                           "[1.2.3.4]", "[", "[]", "[::1", "::1]", ":::", "1:2:3", "fe80::1%eth0", "2001:db8::1::2", "1.2.3.4 ", " 1.2.3.4",
                           "example.com", "1.2.3.com"}) {
    INFO(text);
    CHECK_FALSE(parse_address(Exact(text)));
  }
}

TEST_CASE("addresses know what they are") {
  struct Case { const char* text; bool unspecified, multicast, loopback, broadcast, unicast; };
  for (const Case& c : {Case{"0.0.0.0", true, false, false, false, false}, Case{"::", true, false, false, false, false},
                        Case{"224.0.0.1", false, true, false, false, false}, Case{"239.255.255.255", false, true, false, false, false},
                        Case{"ff02::1", false, true, false, false, false}, Case{"127.1.2.3", false, false, true, false, false},
                        Case{"::1", false, false, true, false, false}, Case{"255.255.255.255", false, false, false, true, false},
                        Case{"10.0.0.2", false, false, false, false, true}, Case{"2001:db8::1", false, false, false, false, true}}) {
    INFO(c.text);
    const Address a = parse_address(c.text).value();
    CHECK(a.is_unspecified() == c.unspecified);
    CHECK(a.is_multicast() == c.multicast);
    CHECK(a.is_loopback() == c.loopback);
    CHECK(a.is_broadcast() == c.broadcast);
    CHECK(a.is_unicast() == c.unicast);
  }
  CHECK_FALSE(Address{}.is_unicast());
  CHECK_FALSE(Address::from_bytes(std::array<uint8_t, 3>{}).is_set());
}

TEST_CASE("endpoints") {
  for (const char* text : {"192.0.2.1:5060", "[2001:db8::1]:5060", "192.0.2.1:0"}) CHECK(to_string(parse_endpoint(text).value()) == text);
  CHECK(parse_endpoint("192.0.2.1")->port == 0);
  CHECK(parse_endpoint("2001:db8::1")->port == 0);
  CHECK(parse_endpoint("[2001:db8::1]")->port == 0);
  for (const char* text : {"", ":5060", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1", "192.0.2.1:5060 ", "[2001:db8::1]5060",
                           "[2001:db8::1]:", "name:5060", "["}) {
    INFO(text);
    CHECK_FALSE(parse_endpoint(Exact(text)));
  }
  std::unordered_set<Endpoint> set{*parse_endpoint("192.0.2.1:1"), *parse_endpoint("192.0.2.1:2"), *parse_endpoint("192.0.2.1:1")};
  CHECK(set.size() == 2);
}

TEST_CASE("networks") {
  struct Case { const char *network, *address; bool inside; };
  for (const Case& c : {Case{"10.0.0.0/8", "10.255.0.1", true}, Case{"10.0.0.0/8", "11.0.0.1", false}, Case{"192.0.2.128/25", "192.0.2.127", false},
                        Case{"192.0.2.128/25", "192.0.2.200", true}, Case{"192.0.2.1", "192.0.2.1", true}, Case{"192.0.2.1", "192.0.2.2", false},
                        Case{"0.0.0.0/0", "8.8.8.8", true}, Case{"0.0.0.0/0", "2001:db8::1", false}, Case{"2001:db8::/33", "2001:db8:7fff::1", true},
                        Case{"2001:db8::/33", "2001:db8:8000::1", false}}) {
    INFO(c.network << " " << c.address);
    CHECK(parse_network(c.network)->contains(*parse_address(c.address)) == c.inside);
  }
  CHECK(Network{}.contains(*parse_address("::1")));
  CHECK(to_string(Network{}) == "any");
  CHECK(to_string(*parse_network("10.1.2.3/8")) == "10.0.0.0/8");
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "2001:db8::/129", "10.0.0.0/8/8", "10.0.0.0/x"}) CHECK_FALSE(parse_network(text));
}

TEST_CASE("numbers and text") {
  CHECK(parse_number("0") == 0U);
  CHECK(parse_number("4294967295") == UINT32_MAX);
  CHECK(parse_number("0068") == 68U);
  for (const char* text : {"", "4294967296", "99999999999", "-1", "+1", "1 ", "0x1", "1a"}) CHECK_FALSE(parse_number(Exact(text)));
  CHECK_FALSE(parse_number("65536", 65535));
  CHECK(escaped(std::string_view("a\\\x1b\x80\n\0", 6)) == "a\\x5c\\x1b\\x80\\x0a\\x00");
  CHECK(equals_ignoring_case("Call-ID", "CALL-id"));
  CHECK_FALSE(equals_ignoring_case("[", "{"));
}

TEST_CASE("a slab finds what lives, and an id never finds another record than its own") {
  Slab<int> slab;
  const auto first = slab.insert(1), second = slab.insert(2), third = slab.insert(3);
  CHECK(slab.erase(second));
  CHECK_FALSE(slab.erase(second));
  CHECK(slab.find(second) == nullptr);
  CHECK(*slab.find(third) == 3);
  const auto fourth = slab.insert(4);  // where the second was
  CHECK(fourth != second);
  CHECK(*slab.find(fourth) == 4);
  CHECK(slab.ids() == std::vector{first, fourth, third});
}

TEST_CASE("a slab gives places back from the highest down, and their ids stay dead when they come again") {
  Slab<int> slab;
  std::vector<uint64_t> dead;
  for (int round = 0; round < 3; ++round) {
    std::vector<uint64_t> ids;
    for (int i = 0; i < 100; ++i) ids.push_back(slab.insert(i));
    for (std::size_t i : {40U, 90U, 10U}) slab.erase(ids[i]);
    for (std::size_t i = 50; i < 100; ++i) slab.erase(ids[i]);  // the upper half, then a place below and those above again
    const auto low = slab.insert(-1), next = slab.insert(-2), above = slab.insert(-3);
    CHECK((low & 0xffffffffU) == 11);
    CHECK((next & 0xffffffffU) == 41);
    CHECK((above & 0xffffffffU) == 51);
    for (uint64_t id : {low, next, above}) CHECK(slab.erase(id));
    for (uint64_t id : ids) slab.erase(id);
    CHECK(slab.size() == 0);
    dead.insert(dead.end(), ids.begin(), ids.end());
    dead.insert(dead.end(), {low, next, above});
  }
  for (int i = 0; i < 100; ++i) slab.insert(i);
  CHECK(std::none_of(dead.begin(), dead.end(), [&](uint64_t id) { return slab.find(id) != nullptr; }));
}
