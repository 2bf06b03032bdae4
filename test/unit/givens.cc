// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/calls/givens.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "alg/base/limits.h"

using namespace sipalg;

namespace {

const Endpoint w = *parse_endpoint("203.0.113.1:5060"), other = *parse_endpoint("203.0.113.1:5061");

std::string text_of(const std::optional<Given>& given) { return given ? std::string(given->before) : "none"; }

}  // namespace

TEST_CASE("a field is found by endpoint and user, another user's where its own is not there") {
  Givens givens;
  givens.add({Field::contact, w, "10.0.0.2", "alice"});
  givens.add({Field::contact, w, "10.0.0.2:5060", "bob"});
  CHECK(text_of(givens.find(Field::contact, w, "alice")) == "10.0.0.2");
  CHECK(text_of(givens.find(Field::contact, w, "bob")) == "10.0.0.2:5060");
  CHECK(text_of(givens.find(Field::contact, w, "carol")) == "10.0.0.2:5060");
  CHECK(text_of(givens.find(Field::contact, other, "alice")) == "none");
  CHECK(text_of(givens.find(Field::via, w, "alice")) == "none");
  CHECK(givens.has(Field::contact, w));
  CHECK_FALSE(givens.has(Field::contact, other));
}

TEST_CASE("two texts of one endpoint in one message stay two") {
  Givens givens;
  const Given message[]{{Field::record_route, w, "10.0.0.2", ""}, {Field::record_route, w, "10.0.0.2:5060", ""}};
  givens.remember(message);
  CHECK(text_of(givens.find(Field::record_route, w, "", 0)) == "10.0.0.2");
  CHECK(text_of(givens.find(Field::record_route, w, "", 1)) == "10.0.0.2:5060");
}

TEST_CASE("what a message gave replaces the same of older ones, and what it gave again changes nothing") {
  Givens givens;
  const Given first[]{{Field::contact, w, "10.0.0.2", "alice"}, {Field::from, {w.address, 0}, "10.0.0.2", ""}};
  const Given second[]{{Field::contact, w, "10.0.0.2:5060", "alice"}};
  givens.remember(first);
  givens.remember(second);
  CHECK(givens.size() == 2);
  CHECK(text_of(givens.find(Field::contact, w, "alice")) == "10.0.0.2:5060");
  CHECK(text_of(givens.find(Field::from, {w.address, 0})) == "10.0.0.2");
  givens.remember(second);
  CHECK(givens.size() == 2);
  CHECK(*std::next(givens.begin()) == second[0]);
  givens.remember({});
  CHECK(givens.size() == 2);
  givens.clear();
  CHECK(givens.empty());
}

TEST_CASE("they come back in order as they were added, of either family and of none") {
  const Given all[]{{Field::via, {{}, 5060}, "phone.example:5060", ""},
                    {Field::contact, *parse_endpoint("[2001:db8::1]:5061"), "[2001:db8::2]", "alice"},
                    {Field::from, w, "", ""}};
  Givens givens;
  for (const Given& one : all) givens.add(one);
  CHECK(std::ranges::equal(givens, all));
  const Givens copy(givens);
  givens.remember({all, 1});
  CHECK(std::ranges::equal(copy, all));
  CHECK(std::ranges::equal(givens, std::vector<Given>{all[1], all[2], all[0]}));
}

TEST_CASE("a record remembers so many texts, the newest ones") {
  Givens givens;
  for (std::size_t i = 0; i < limits::givens + 50; ++i) {
    const std::string user = "user" + std::to_string(i);
    const Given one[]{{Field::contact, w, "10.0.0.2", user}};
    givens.remember(one);
  }
  CHECK(givens.size() == limits::givens);
  CHECK((*givens.begin()).user == "user50");
  CHECK(givens.find(Field::contact, w, "user300"));
}

TEST_CASE("what became of a URI is kept beside it") {
  RestoredUris uris;
  uris.add({Field::request_uri, "sip:alice@203.0.113.1", "sip:alice@10.0.0.2"});
  uris.add({Field::route, "sip:203.0.113.1;lr", "sip:203.0.113.1;lr"});
  REQUIRE(uris.size() == 2);
  CHECK(uris[0].left == "sip:alice@10.0.0.2");
  CHECK(uris[1].came == "sip:203.0.113.1;lr");
  CHECK(uris[1].field == Field::route);
}
