// SPDX-License-Identifier: GPL-2.0-or-later
// Which of several equal parts a host belongs to.
#pragma once
#include <cstdint>

#include "alg/base/endpoint.h"

namespace sipalg {

inline constexpr uint32_t most_shards = 64;

// As the kernel's hash expression computes it (net/netfilter/nft_hash.c, include/linux/jhash.h: jhash of the address's
// bytes, scaled to `shards`): so that a rule can bring a packet to the worker that has its inside host's records.
inline constexpr uint32_t shard_seed = 0x51b;
uint32_t shard_of(const Address& host, uint32_t shards);

}  // namespace sipalg
