// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's table has a name that nft can say: libnftables itself is asked, which parses before it needs any privilege.
#include <catch2/catch.hpp>
#include <nftables/libnftables.h>

#include <memory>
#include <string>

#include "alg/daemon/config_table_name.h"

using namespace sipalg;

namespace {

bool can_be_said(const std::string& name) {
  const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> nft(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  REQUIRE(nft);
  nft_ctx_set_dry_run(nft.get(), true);
  nft_ctx_buffer_error(nft.get());
  nft_ctx_buffer_output(nft.get());
  for (const std::string verb : {"add", "list"}) {
    nft_run_cmd_from_buffer(nft.get(), (verb + " table inet " + name).c_str());
    if (std::string(nft_ctx_get_error_buffer(nft.get())).find("syntax error") != std::string::npos) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a table's name is one that nft can say") {
  for (const std::string name : {"sipalg", "a", "T_1", "Table", "tables2", "sip_alg", "a23456789b123456789c123456789d1"}) {
    INFO(name);
    CHECK(is_table_name(name));
    CHECK(can_be_said(name));
  }
}

TEST_CASE("words of nft's language are no name of a table") {
  for (const std::string word : {"table", "tables", "ip", "ip6", "inet", "arp", "bridge", "netdev", "chain", "chains", "set", "sets",
                                 "map", "rule", "ruleset", "add", "list", "delete", "flush", "accept", "drop", "reject",
                                 "queue", "counter", "tcp", "udp", "ct", "meta", "and", "or", "not", "eq", "xt", "rt0"}) {
    INFO(word);
    CHECK_FALSE(is_table_name(word));
    CHECK_FALSE(can_be_said(word));
  }
}

TEST_CASE("names that are refused whatever nft says") {
  for (const char* name : {"", "_a", "1a", "a-b", "a.b", "a23456789b123456789c123456789d12", "sipalg_zones", "destroy"})
    CHECK_FALSE(is_table_name(name));
}
